//! The settings that change while a node runs, by CONFIG SET: what all its threads go by. Every engine tells of a
//! change, and all of them tell the same.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use driftless_core::config::Limits;
use tokio::sync::Semaphore;

use crate::engine::ClientLimits;
use crate::settings::Settings;
use crate::{log, net};

/// What they are now.
#[derive(Debug)]
pub struct Live {
    engines: usize,
    most_clients: AtomicUsize,
    client_output_bytes: AtomicUsize,
    /// In seconds; 0: for ever.
    client_timeout: AtomicU64,
    doors: Mutex<Doors>,
}

/// Who lets visitors in, each as many as there may be.
#[derive(Debug)]
struct Doors {
    most: usize,
    places: Vec<Arc<Semaphore>>,
}

impl Live {
    /// As the node is started with.
    pub fn new(settings: &Settings) -> Self {
        let most = settings.max_clients as usize;
        Self {
            engines: settings.shared.engines as usize,
            most_clients: most.into(),
            client_output_bytes: settings.client_output_bytes.into(),
            client_timeout: settings.client_timeout.as_secs().into(),
            doors: Mutex::new(Doors { most, places: Vec::new() }),
        }
    }

    /// Takes the new value of a setting, in the words of CONFIG.
    pub fn set(&self, name: &str, value: &str) {
        let number = value.parse::<u64>().unwrap_or(0);
        match name {
            "maxclients" => {
                self.most_clients.store(number as usize, Ordering::Relaxed);
                self.doors.lock().unwrap_or_else(PoisonError::into_inner).resize(number as usize);
            }
            "client-output-bytes" => {
                self.client_output_bytes.store(number as usize, Ordering::Relaxed);
            }
            "timeout" => self.client_timeout.store(number, Ordering::Relaxed),
            "loglevel" => log::set_level(value),
            _ => tracing::error!(setting = name, "a setting that nothing goes by was changed"),
        }
    }

    /// How long a caller may be silent between two commands, if not for ever.
    pub fn client_timeout(&self) -> Option<Duration> {
        let seconds = self.client_timeout.load(Ordering::Relaxed);
        (seconds > 0).then(|| Duration::from_secs(seconds))
    }

    /// The limits of one engine.
    pub fn client_limits(&self) -> ClientLimits {
        ClientLimits {
            count: self.most_clients.load(Ordering::Relaxed).div_ceil(self.engines),
            output_bytes: self.client_output_bytes.load(Ordering::Relaxed),
            command_bytes: Limits::default().command_bytes,
        }
    }

    /// Places for the visitors of one door.
    pub fn places(&self) -> Arc<Semaphore> {
        let mut doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        let places = Arc::new(Semaphore::new(doors.most));
        doors.places.push(places.clone());
        places
    }
}

impl Doors {
    /// From now on there are `most` places at each door. Who has one keeps it; one too many is gone once it is left.
    fn resize(&mut self, most: usize) {
        let before = std::mem::replace(&mut self.most, most);
        for places in &self.places {
            places.add_permits(most.saturating_sub(before));
            let owed = before.saturating_sub(most);
            let owed = owed - places.forget_permits(owed);
            if let Ok(owed @ 1..) = u32::try_from(owed) {
                let places = places.clone();
                net::spawn(async move {
                    if let Ok(left) = places.acquire_many_owned(owed).await {
                        left.forget();
                    }
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_that_are_taken_away_are_gone_once_they_are_left() {
        let mut doors = Doors { most: 3, places: vec![Arc::new(Semaphore::new(3))] };
        let places = doors.places[0].clone();
        let mut taken = Vec::new();
        for _ in 0..3 {
            taken.push(places.clone().acquire_owned().await.unwrap());
        }
        doors.resize(1);
        tokio::task::yield_now().await;
        taken.truncate(1);
        tokio::task::yield_now().await;
        assert_eq!(places.available_permits(), 0, "one of three is there, and taken");
        taken.clear();
        assert_eq!(places.available_permits(), 1);
        doors.resize(5);
        doors.resize(5);
        assert_eq!(places.available_permits(), 5, "told twice, changed once");
    }
}
