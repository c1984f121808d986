"""What of other indexes is offered here: pure rules, the advisories they read, and the index that applies them."""
