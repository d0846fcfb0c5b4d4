//! Redis behind TLS.

use std::{fs, process::Command};

use equipoise::{
    learned::SessionStore,
    redis::{RedisStore, StoreErrorKind},
};
use rcgen::{CertificateParams, KeyPair};

use super::server::{Server, home, kind, session};
use crate::program::{Folder, free_port, printed};

const ADDRESS: &str = "EQUIPOISE_TEST_REDIS_OVER_TLS";

#[test]
#[ignore = "needs redis-server: apt-get install redis-server"]
fn over_tls_a_certificate_has_to_be_trusted() {
    let (folder, port) = (Folder::new(), free_port());
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let [certificate_file, key_file] = ["certificate", "key"].map(|name| folder.path().join(name));
    fs::write(&certificate_file, certificate.pem()).unwrap();
    fs::write(&key_file, key.serialize_pem()).unwrap();
    let [certificate, key] = [&certificate_file, &key_file].map(|file| file.to_str().unwrap());
    let _server = Server::start_with(&[
        "--tls-port",
        &port.to_string(),
        "--tls-auth-clients",
        "no",
        "--tls-cert-file",
        certificate,
        "--tls-key-file",
        key,
    ]);

    // What is trusted is of the environment, and so of a process.
    let child = |trusted: &str, host: &str, verdict: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([
            "--exact",
            "redis_store::encrypted::in_a_process_of_its_own",
            "--ignored",
            "--nocapture",
        ]);
        command
            .env("SSL_CERT_FILE", trusted)
            .env(ADDRESS, format!("rediss://{host}:{port}"));
        let told = printed(&mut command);
        assert!(told.contains(verdict), "{told}");
    };
    child(certificate, "localhost", "it was trusted");
    // Of another name, and by a system that does not know it.
    child(certificate, "127.0.0.1", "it was not trusted");
    let other = folder.path().join("other");
    let stranger = CertificateParams::new(["localhost".to_owned()]).unwrap();
    fs::write(
        &other,
        stranger.self_signed(&KeyPair::generate().unwrap()).unwrap().pem(),
    )
    .unwrap();
    child(other.to_str().unwrap(), "localhost", "it was not trusted");
}

#[tokio::test]
#[ignore = "run by the test above"]
async fn in_a_process_of_its_own() {
    let Ok(address) = std::env::var(ADDRESS) else { return };
    let store = RedisStore::new(&address).unwrap();
    match store.claim(session(1), None, home("a")).await {
        Ok(_) => {
            assert_eq!(store.get(session(1)).await.unwrap(), Some(home("a")));
            println!("it was trusted");
        }
        Err(error) => {
            println!("it was not trusted: {error}");
            assert!(error.to_string().contains("ertificate"));
            assert_eq!(kind(Err::<(), _>(error)), StoreErrorKind::Unreachable);
        }
    }
}
