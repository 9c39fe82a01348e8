//! The child's end of the socket.

use std::fs::File;
use std::io::{BufReader, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::super::wire::{self, Message, Task};

/// What is read at once of what the host says all the time.
const READ_BYTES: usize = 64 << 10;

/// Says and hears messages. Clones share the socket.
#[derive(Clone, Debug)]
pub(super) struct Link {
    /// A `File`, so that it is read and written by `read` and `write`: the filter knows no call of sockets.
    socket: Arc<File>,
    // std mutex: one message at a time goes out; there is no async here.
    out: Arc<Mutex<()>>,
}

impl Link {
    /// The socket that the host has made standard input.
    pub(super) fn of_stdin() -> Result<Self, String> {
        let socket: OwnedFd = std::io::stdin()
            .as_fd()
            .try_clone_to_owned()
            .map_err(|error| format!("there is no standard input: {error}"))?;
        Ok(Self {
            socket: Arc::new(File::from(socket)),
            out: Arc::default(),
        })
    }

    /// The task, and the file that came beside its first byte.
    pub(super) fn task(&self) -> Result<(Task, Option<File>), String> {
        let broken = |error: rustix::io::Errno| format!("standard input is no socket: {error}");
        let mut head = [0; wire::HEAD_BYTES];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let read = recvmsg(
            self.socket.as_ref(),
            &mut [IoSliceMut::new(&mut head)],
            &mut beside,
            RecvFlags::CMSG_CLOEXEC,
        )
        .map_err(broken)?;
        let file = beside.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut files) => files.next().map(File::from),
            _ => None,
        });
        let mut socket = self.socket.as_ref();
        let hung_up = |error: std::io::Error| format!("the host is gone: {error}");
        socket
            .read_exact(&mut head[read.bytes..])
            .map_err(hung_up)?;
        let (length, kind) = wire::parse_head(head).map_err(|error| error.to_string())?;
        let mut body = vec![0; length];
        socket.read_exact(&mut body).map_err(hung_up)?;
        match Message::parse(kind, Bytes::from(body)) {
            Ok(Message::Task(task)) => Ok((task, file)),
            Ok(_) => Err("the first message is no task".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Says a message; waits while the host does not read. Ends the process when the host is gone.
    pub(super) fn send(&self, message: &Message) {
        let bytes = message.encode();
        let one = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        if self.socket.as_ref().write_all(&bytes).is_err() {
            std::process::exit(1);
        }
        drop(one);
    }

    /// Reads message after message and hands each to `hear`, on a thread of its own, which reads no further before `hear` has
    /// returned: whoever is slow to hear slows the host down. The process ends when the host closes its end.
    pub(super) fn listen(
        &self,
        mut hear: impl FnMut(Message) + Send + 'static,
    ) -> Result<(), String> {
        let mut socket = BufReader::with_capacity(READ_BYTES, Reader(Arc::clone(&self.socket)));
        let listen = move || {
            loop {
                match read_message(&mut socket) {
                    Ok(message) => hear(message),
                    Err(why) => {
                        eprintln!("griot pipeline: {why}");
                        std::process::exit(1);
                    }
                }
            }
        };
        std::thread::Builder::new()
            .name("host".to_owned())
            .spawn(listen)
            .map(|_| ())
            .map_err(|error| format!("no thread: {error}"))
    }

    /// From now on the process ends when the host closes its end: a killed host leaves no children.
    pub(super) fn die_with_the_socket(&self) -> Result<(), String> {
        let socket = Arc::clone(&self.socket);
        let listen = move || {
            let mut nothing = [0; 64];
            loop {
                match socket.as_ref().read(&mut nothing) {
                    // The host says nothing after the task.
                    Ok(1..) => {}
                    Ok(0) | Err(_) => std::process::exit(1),
                }
            }
        };
        std::thread::Builder::new()
            .name("host".to_owned())
            .spawn(listen)
            .map(|_| ())
            .map_err(|error| format!("no thread: {error}"))
    }
}

/// A socket that is read by many owners.
#[derive(Debug)]
struct Reader(Arc<File>);

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.0.as_ref().read(into)
    }
}

fn read_message(socket: &mut impl Read) -> Result<Message, String> {
    let hung_up = |error: std::io::Error| format!("the host is gone: {error}");
    let mut head = [0; wire::HEAD_BYTES];
    socket.read_exact(&mut head).map_err(hung_up)?;
    let (length, kind) = wire::parse_head(head).map_err(|error| error.to_string())?;
    // By `take`, so that it grows as it comes and nothing is zeroed before.
    let mut body = Vec::with_capacity(length.min(READ_BYTES));
    let most = u64::try_from(length).unwrap_or(u64::MAX);
    socket.take(most).read_to_end(&mut body).map_err(hung_up)?;
    if body.len() < length {
        return Err("the host is gone within a message".to_owned());
    }
    Message::parse(kind, Bytes::from(body)).map_err(|error| error.to_string())
}
