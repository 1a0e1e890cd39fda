"""What was sent where, and whether it arrived: deliveries, memberships, arms, erasures."""
