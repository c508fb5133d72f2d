"""A broker and a Redis on this machine, from Python wheels alone, that end with the process that started them."""
