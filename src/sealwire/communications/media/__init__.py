"""Media files: what customers upload to be played, checked when it comes and opened when it is played."""
