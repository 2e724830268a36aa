"""The doors of buses: Kafka, SQS, NATS JetStream. What they bring is kept, then acknowledged.

`envelopes` takes a message apart, `declared` reads which doors there are, `doors` keeps them open;
each bus has a module of its own, which alone knows its client.
"""
