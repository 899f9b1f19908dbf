//! A UDP relay between an agent and its hub that counts bytes.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    bytes: Arc<AtomicU64>,
}

impl Relay {
    /// Forwards datagrams between one client and `server`, on threads that live as long as the process.
    pub(crate) fn start(server: &str) -> anyhow::Result<Self> {
        let front = UdpSocket::bind("127.0.0.1:0")?;
        let back = UdpSocket::bind("127.0.0.1:0")?;
        back.connect(server)?;
        let address = front.local_addr()?;
        let bytes = Arc::<AtomicU64>::default();
        let client = Arc::<OnceLock<SocketAddr>>::default();
        let (front_in, back_out) = (front.try_clone()?, back.try_clone()?);
        let (sender, up) = (Arc::clone(&client), Arc::clone(&bytes));
        std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok((n, from)) = front_in.recv_from(&mut buffer) {
                sender.get_or_init(|| from);
                up.fetch_add(n as u64, Ordering::Relaxed);
                let _ = back_out.send(buffer.get(..n).unwrap_or_default());
            }
        });
        let down = Arc::clone(&bytes);
        std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok(n) = back.recv(&mut buffer) {
                down.fetch_add(n as u64, Ordering::Relaxed);
                if let Some(client) = client.get() {
                    let _ = front.send_to(buffer.get(..n).unwrap_or_default(), client);
                }
            }
        });
        Ok(Self { address, bytes })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}
