"""While sessions run, be they thousands: their polls, their time, their routes."""
