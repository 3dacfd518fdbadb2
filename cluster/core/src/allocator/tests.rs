//! Subnets, addresses and ports: see the rules in the modules.
