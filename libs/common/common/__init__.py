"""What two services or more of the connector use."""

__version__ = "0.1.0"
