"""Take events and webhooks over HTTP, and answer only once Kafka has them."""
