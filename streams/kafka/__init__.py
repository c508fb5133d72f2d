"""Plain Kafka clients that know nothing of faust, and the unpacking of what they fetch."""

from resegment.streams.kafka import unpacking as unpacking  # every consumer of the process unpacks this way
