"""The dead letters: look at them and put them back. `python -m common.amqp dead-letters`."""
