"""What leaves the server: deliveries and key sets."""
