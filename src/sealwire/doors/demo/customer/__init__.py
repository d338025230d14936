"""The customer of the demo: programs of its own, in processes of their own, that know the cloud by its SDK only."""
