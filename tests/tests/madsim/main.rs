//! The shell of the node under madsim.
#![cfg(madsim)]
