"""What `sealwire restore` does beside the room of backups: the drill of a running cloud, or of one made for it."""
