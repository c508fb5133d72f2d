"""Learn a score from outcomes: which tests of the file went with success, as they were when accounts were touched."""
