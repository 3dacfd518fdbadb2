//! How fast names are found from a container.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::report::quantile_of;
use super::space::Space;
use super::{Sample, Taken, overlay};
use crate::error::Tried;
use crate::{Error, Options};

/// Where names of the swarm are asked, on every network of its.
const OURS: Ipv4Addr = Ipv4Addr::new(169, 254, 77, 53);
/// Where processes ask in every container but those on the default bridge.
const USUAL: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);
const PATIENCE: Duration = Duration::from_secs(5);
/// A network of the engine's own, and a name on it.
const BRIDGE: &str = "bench-bridge";
const NEIGHBOUR: &str = "neighbour";
/// Looks in one run, and look-ups in each.
const LOOKS: usize = 10;
const LOOKUPS: usize = 200;

/// Look-ups per second of one client, one after another: a service's name, asked by a task where its processes ask. The floor is
/// the engine's resolver, asked for a container's name on a bridge network of its own. The detail says the same of a user's
/// container, and of our server in the network's namespace.
pub fn take(runs: usize, ours: &Options) -> Result<Taken, Error> {
    let testbed = overlay::start(ours, &[], &[])?;
    let host = testbed.host(0);
    let task = overlay::task(host)?;
    let users = overlay::sleeper(host, true, &["--network", overlay::NETWORK])?;
    host.engine_docker(&["network", "create", BRIDGE])?
        .success()?;
    let on = ["--network", BRIDGE];
    let neighbour = [&on[..], &["--name", NEIGHBOUR]].concat();
    overlay::sleeper(host, false, &neighbour)?;
    let engines_client = overlay::sleeper(host, false, &on)?;
    let mut of_task = Way::new(&task, USUAL, overlay::SERVICE);
    let mut of_user = Way::new(&users, USUAL, overlay::SERVICE);
    let mut direct = Way::new(&task, OURS, overlay::SERVICE);
    let mut engines = Way::new(&engines_client, USUAL, NEIGHBOUR);
    let mut samples = Vec::new();
    for run in 0..=runs {
        if run == 1 {
            for way in [&mut of_task, &mut of_user, &mut direct, &mut engines] {
                way.times.clear();
            }
        }
        let begun = of_task.times.len();
        for look in 0..LOOKS {
            let mut ways = [&mut of_task, &mut of_user, &mut direct, &mut engines];
            ways.rotate_left(look % 4);
            for way in ways {
                way.look()?;
            }
        }
        samples.push(Sample {
            ours: of_task.rate_since(begun),
            stock: None,
            floor: Some(engines.rate_since(begun)),
        });
    }
    let detail = vec![
        of_task.spread("of a task"),
        of_user.spread("of a user's container"),
        direct.spread("at our server in the network"),
        engines.spread("at the engine's"),
    ];
    samples.remove(0);
    Ok(Taken { samples, detail })
}

/// A client, whom it asks for what, and how long that took: microseconds.
struct Way<'a> {
    client: &'a Space,
    server: SocketAddr,
    name: &'static str,
    times: Vec<f64>,
}

impl<'a> Way<'a> {
    fn new(client: &'a Space, server: Ipv4Addr, name: &'static str) -> Self {
        Self {
            client,
            server: SocketAddr::from((server, 53)),
            name,
            times: Vec::new(),
        }
    }

    fn look(&mut self) -> Result<(), Error> {
        let (server, name) = (self.server, self.name);
        let times = self.client.within(|| look_up(server, name))?;
        self.times.extend(times);
        Ok(())
    }

    fn rate_since(&self, begun: usize) -> f64 {
        let times = &self.times[begun..];
        times.len() as f64 * 1e6 / times.iter().sum::<f64>()
    }

    fn spread(&self, place: &str) -> String {
        let of = |part| quantile_of(self.times.clone(), part).round();
        format!("{place}: p50 {} us, p99 {} us", of(0.5), of(0.99))
    }
}

/// Microseconds of each of some look-ups by one socket.
fn look_up(server: SocketAddr, name: &str) -> Result<Vec<f64>, Error> {
    let tried = || format!("ask {server} for {name}");
    let socket = UdpSocket::bind((IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0)).tried(tried)?;
    socket.connect(server).tried(tried)?;
    socket.set_read_timeout(Some(PATIENCE)).tried(tried)?;
    let mut reply = [0; 512];
    let one = |id: usize| {
        let query = query(id as u16, name);
        let began = Instant::now();
        socket.send(&query).tried(tried)?;
        let length = socket.recv(&mut reply).tried(tried)?;
        let took = began.elapsed().as_secs_f64() * 1e6;
        match is_answer(&query, &reply[..length]) {
            true => Ok(took),
            false => Err(Error::Answer(format!("no address of {name} from {server}"))),
        }
    };
    (0..LOOKUPS).map(one).collect()
}

/// A question for the IPv4 addresses of a name of one label.
fn query(id: u16, name: &str) -> Vec<u8> {
    let mut packet = id.to_be_bytes().to_vec();
    // Recursion desired; one question.
    packet.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0, name.len() as u8]);
    packet.extend(name.as_bytes());
    // The root; type A; class IN.
    packet.extend([0, 0, 1, 0, 1]);
    packet
}

/// Whether a reply has that question's id, no error, and an answer.
fn is_answer(query: &[u8], reply: &[u8]) -> bool {
    reply.len() > query.len()
        && reply[..2] == query[..2]
        && reply[3] & 0xf == 0
        && reply[6..8] != [0, 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_or_an_empty_reply_is_no_answer() {
        let query = query(7, "web");
        let reply = |code: u8, answers: u8| {
            let mut reply = query.clone();
            (reply[2], reply[3], reply[7]) = (0x81, 0x80 | code, answers);
            reply.extend([0; 16]);
            reply
        };
        assert!(is_answer(&query, &reply(0, 1)));
        assert!(!is_answer(&query, &reply(3, 1)));
        assert!(!is_answer(&query, &reply(0, 0)));
        assert!(!is_answer(&[0, 8], &reply(0, 1)));
    }
}
