//! RTMP, sans-IO: handshake, chunk stream, AMF0, messages, session state machine.
