"""What the segmenter decides with: the versions of the segments file, their switches, and what is announced."""
