//! A table of sessions that several balancers share, in Redis.
