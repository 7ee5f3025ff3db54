"""Changes in AWS: one module for each service that tells of them."""
