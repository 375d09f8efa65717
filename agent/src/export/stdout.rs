//! Standard output for a worker: not behind the standard library's lock, so that one that hangs
//! in a write hinders nobody, and patient with a descriptor that another process made
//! non-blocking.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
};

use rustix::event::{PollFd, PollFlags, poll};

/// A file whose writes wait until it can take something.
#[derive(Debug)]
pub(super) struct Patient(File);

impl Patient {
    /// Standard output.
    pub(super) fn stdout() -> io::Result<Self> {
        Ok(Self::new(File::from(
            io::stdout().as_fd().try_clone_to_owned()?,
        )))
    }

    pub(super) fn new(file: File) -> Self {
        Self(file)
    }
}

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], None) {
                        Ok(_) | Err(rustix::io::Errno::INTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                result => return result,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
