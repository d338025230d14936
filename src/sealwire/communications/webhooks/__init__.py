"""Events told to customers: signed references, never contents."""
