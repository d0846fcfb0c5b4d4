//! nginx's `hash … consistent` and the ring in nginx's mode: the same backend for each key.

use std::fs;

use equipoise::{
    key::HashFunction,
    selector::hash::{Ring, RingMode},
};

use crate::{
    curl::curl,
    keyed::Keyed,
    program::{Folder, Program, free_port, installed},
};

const KEYS: u32 = 1_000;

/// An nginx in front of servers that all it is itself, each of which answers with its name.
struct Stage {
    port: u16,
    servers: Vec<(String, u32)>,
    _nginx: Program,
    _folder: Folder,
}

impl Stage {
    /// An upstream `whole` of servers on loopback and one on a socket, all of different weights; the same as `down`, the
    /// second of them marked as down, and as `less` without it; and `dead`, where nobody listens in its stead.
    fn start() -> Self {
        let folder = Folder::new();
        let path = folder.path().display();
        let mut servers: Vec<_> = (0..6)
            .map(|index| (format!("127.0.0.1:{}", free_port()), [1, 5, 2, 1, 3, 10][index]))
            .collect();
        servers.push((format!("unix:{path}/socket"), 4));
        let dead = format!("127.0.0.1:{}", free_port());
        let upstream = |name, second: &dyn Fn(&str) -> String| -> String {
            let lines = servers.iter().enumerate().map(|(index, (server, weight))| match index {
                1 => second(&format!("{server} weight={weight}")),
                _ => format!("server {server} weight={weight};"),
            });
            let lines: String = lines.collect();
            format!("upstream {name} {{ hash $arg_k consistent; {lines} }}\n")
        };
        let upstreams = [
            upstream("whole", &|server| format!("server {server};")),
            upstream("down", &|server| format!("server {server} down;")),
            upstream("less", &|_| String::new()),
            upstream("dead", &|_| format!("server {dead} weight=5 max_fails=0;")),
        ]
        .concat();
        let named =
            |(server, _): &(String, u32)| format!("server {{ listen {server}; return 200 \"{server}\\n\"; }}\n");
        let backends: String = servers.iter().map(named).collect();
        let (nginx, port) = Program::serve(|port| {
            let config = folder.path().join("nginx.conf");
            let text = format!(
                "daemon off; master_process off; pid {path}/pid; error_log stderr crit;
                events {{}}
                http {{
                    access_log off;
                    client_body_temp_path {path}/a; proxy_temp_path {path}/b; fastcgi_temp_path {path}/c;
                    uwsgi_temp_path {path}/d; scgi_temp_path {path}/e;
                    {upstreams}
                    {backends}
                    server {{
                        listen 127.0.0.1:{port};
                        location ~ ^/(whole|down|less|dead)$ {{ proxy_pass http://$1; }}
                    }}
                }}"
            );
            fs::write(&config, text).unwrap();
            let mut command = installed("nginx", "nginx");
            command
                .args(["-e", "stderr", "-p"])
                .arg(folder.path())
                .arg("-c")
                .arg(config);
            command
        });
        servers.push((dead, 5));
        Self {
            port,
            servers,
            _nginx: nginx,
            _folder: folder,
        }
    }

    /// Whom nginx takes for each key.
    fn chosen(&self, upstream: &str) -> Vec<String> {
        let uri = format!("http://127.0.0.1:{}/{upstream}?k=key-[1-{KEYS}]", self.port);
        let told = curl(&[&uri]);
        let chosen: Vec<_> = told.lines().map(str::to_owned).collect();
        assert_eq!(chosen.len(), KEYS as usize, "{told}");
        chosen
    }
}

/// Whom the ring takes for each key.
fn ours(members: &[(String, u32)], closed: &[&str]) -> Vec<String> {
    let ring = Ring::new().with_mode(RingMode::Nginx);
    let mut ring = Keyed::closing(ring, members, closed);
    let key = |number| HashFunction::Crc32.hash(format!("key-{number}").as_bytes());
    (1..=KEYS).map(|number| ring.id(key(number)).to_owned()).collect()
}

#[test]
#[ignore = "needs curl and nginx: apt-get install curl nginx"]
fn the_ring_in_nginx_s_mode_chooses_as_nginx() {
    let stage = Stage::start();
    let whole = &stage.servers[..7];
    let chosen = stage.chosen("whole");
    for (server, weight) in whole {
        let count = chosen.iter().filter(|chosen| *chosen == server).count();
        // Of 26; so the comparison below is of all of them.
        assert!(
            count >= *weight as usize * 15,
            "{count} for {server} of weight {weight}"
        );
    }
    assert_eq!(ours(whole, &[]), chosen);

    let second = whole[1].0.as_str();
    let down = stage.chosen("down");
    assert!(down != chosen && !down.iter().any(|server| server == second));
    assert_eq!(ours(whole, &[second]), down);

    let mut less = whole.to_vec();
    less.remove(1);
    let chosen = stage.chosen("less");
    assert_eq!(ours(&less, &[]), chosen);
    assert_eq!(chosen, down, "a member that is closed is passed by as if it had left");

    // Where a key's first choice is the dead one, nginx tries it in vain, and goes on.
    let dead = stage.servers[7].clone();
    less.insert(1, dead.clone());
    assert_eq!(ours(&less, &[&dead.0]), stage.chosen("dead"));
}
