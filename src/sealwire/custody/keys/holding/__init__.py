"""Further holders of the keys: other processes, on other disks or hosts, that take part in forgetting."""
