"""Read inputs from disk: event files, providers' data, segments files and suppression lists."""
