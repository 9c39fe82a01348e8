//! Sockets that publish: the RTMP listener and its connection task.
