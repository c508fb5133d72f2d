"""The tests of a program, each with its value and until when that lasts."""
