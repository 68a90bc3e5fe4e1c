// A node in this process, for examples to talk to: alone, in a directory of its own. Included by the examples.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::thread::JoinHandle;

use driftless::disk::Claim;
use driftless::settings::{Flags, Settings};
use driftless_client::{Client, Error};
use tokio::sync::oneshot;

/// It ends, and its files with it, when this is dropped.
pub struct Node {
    address: SocketAddr,
    directory: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Node {
    /// Starts it, and waits until it serves.
    pub fn start() -> Self {
        // Somebody else may take the port that was just found free.
        (0..10).find_map(Self::try_start).expect("a node finds a port")
    }

    fn try_start(number: u32) -> Option<Self> {
        let address = free_address();
        let name = format!("driftless-example-{}-{}-{number}", std::process::id(), address.port());
        let directory = std::env::temp_dir().join(name);
        let flags = Flags {
            cluster_port: Some(0),
            lines_port: Some(0),
            http_port: Some(0),
            grpc_port: Some(address.port()),
            data_dir: Some(directory.clone()),
            ..Flags::default()
        };
        let mut settings = Settings::check(&flags).expect("these settings fit together");
        // Nobody knocks at the others.
        settings.clients_at.set_port(0);
        settings.nodes_at.set_port(0);
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || serve(settings, stopped, tell));
        let node = Self { address, directory, stop: Some(stop), thread: Some(thread) };
        told.recv().is_ok().then_some(node)
    }

    /// Where it is asked.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// A client of it.
    pub async fn client(&self) -> Result<Client, Error> {
        Client::connect([self.address()]).await
    }

    /// Carries out an example.
    pub fn run(self, example: impl AsyncFnOnce(&Self) -> Result<(), Error>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime can be built");
        runtime.block_on(example(&self)).expect("the example works");
    }
}

fn serve(settings: Settings, stopped: oneshot::Receiver<()>, ready: std::sync::mpsc::Sender<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let stop = async {
        // Who is gone wants no node any more either.
        let _ = stopped.await;
        Ok(())
    };
    let claim = Claim::new(&settings);
    let tell = move |_: &Settings| {
        let _ = ready.send(());
    };
    let ended = runtime.expect("a runtime can be built").block_on(driftless::node::run(
        settings, claim, stop, tell,
    ));
    if let Err(error) = ended {
        eprintln!("{error}");
    }
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("it is known which")
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
