//! The production node: sockets, files, threads and configuration around the pure core.
