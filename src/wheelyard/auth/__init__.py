"""Who is asking, and what they may do; knows nothing of indexes or HTTP routes."""
