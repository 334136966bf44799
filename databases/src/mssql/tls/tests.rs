use std::path::PathBuf;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{Ssl, SslContext};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509Builder, X509NameBuilder};
use proptest::prelude::*;
use tokio::net::TcpListener;

use super::*;
use crate::location::Location;

#[test]
fn a_greeting_says_what_it_says() {
    for wanted in [ENCRYPT_OFF, ENCRYPT_ON, ENCRYPT_NOT_SUPPORTED, ENCRYPT_REQUIRED] {
        assert_eq!(encryption(&greeting(wanted, "SQLEXPRESS")), Some(wanted));
    }
    assert_eq!(encryption(b"HTTP/1.1 400 Bad Request"), None);
}

proptest! {
    #[test]
    fn no_answer_makes_it_panic(answer: Vec<u8>) {
        let _ = encryption(&answer);
    }
}

/// A certificate that a server made for itself, as SQL Server does.
fn certificate(host: &str) -> (X509, PKey<Private>) {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", host).unwrap();
    let name = name.build();
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    let names = SubjectAlternativeName::new().dns(host).build(&builder.x509v3_context(None, None)).unwrap();
    builder.append_extension(names).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    (builder.build(), key)
}

/// What a server of the test can do.
#[derive(Clone, Copy, PartialEq)]
enum Server {
    Says(u8),
    Speaks(SslVersion),
    SpeaksHttp,
}

/// Serves one connection: greets, encrypts if it can, and sends five bytes back.
async fn serve(server: Server, certificate: &X509, key: &PKey<Private>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut context = SslContext::builder(SslMethod::tls_server()).unwrap();
    context.set_security_level(0);
    context.set_cipher_list("ALL:@SECLEVEL=0").unwrap();
    context.set_certificate(certificate).unwrap();
    context.set_private_key(key).unwrap();
    let answer = match server {
        Server::Speaks(version) => {
            context.set_min_proto_version(Some(version)).unwrap();
            context.set_max_proto_version(Some(version)).unwrap();
            ENCRYPT_ON
        }
        Server::Says(encryption) => encryption,
        Server::SpeaksHttp => 0,
    };
    let context = context.build();
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        if server == Server::SpeaksHttp {
            return tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        }
        let mut header = [0; HEADER];
        tcp.read_exact(&mut header).await.unwrap();
        let mut body = vec![0; usize::from(u16::from_be_bytes([header[2], header[3]])) - HEADER];
        tcp.read_exact(&mut body).await.unwrap();
        tcp.write_all(&packet(TABULAR, &prelogin(&[(0, &[0; 6]), (1, &[answer])]))).await.unwrap();
        let mut echo = [0; 5];
        if matches!(server, Server::Says(_)) {
            let _ = tcp.read_exact(&mut echo).await;
            let _ = tcp.write_all(&echo).await;
            return;
        }
        let mut tls = SslStream::new(Ssl::new(&context).unwrap(), Envelope::new(tcp)).unwrap();
        if Pin::new(&mut tls).accept().await.is_ok() {
            let _ = tls.get_mut().flush().await;
            tls.get_mut().open();
            let _ = tls.read_exact(&mut echo).await;
            let _ = tls.write_all(&echo).await;
            let _ = tls.flush().await;
        }
    });
    port
}

/// Connects as the address says, and sends five bytes to and fro.
async fn try_out(host: &str, options: &str, port: u16) -> Result<Option<String>, String> {
    let Ok(Location::Mssql(address)) = format!("mssql://sa@{host}:{port}/db?{options}").parse() else {
        panic!("{options}")
    };
    let connector = connector(&address).map_err(|e| e.to_string())?;
    let tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let checked = address.trust != Trust::Any;
    let line = greet(tcp, host, None, connector.as_ref(), checked).await;
    let (mut line, facts) = line.map_err(|e| {
        let error = super::super::trouble::no_line(&address, e);
        format!("{error} | {}", error.help().unwrap_or_default())
    })?;
    // tiberius' own greeting is answered on the spot and never sent.
    line.write_all(&packet(PRELOGIN, &greeting(ENCRYPT_NOT_SUPPORTED, ""))).await.unwrap();
    let mut answer = [0; HEADER + 18];
    line.read_exact(&mut answer).await.unwrap();
    assert_eq!(encryption(&answer[HEADER..]), Some(ENCRYPT_NOT_SUPPORTED));
    line.write_all(b"hello").await.unwrap();
    line.flush().await.unwrap();
    let mut echo = [0; 5];
    line.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"hello");
    Ok(facts.map(|f| f.protocol))
}

/// The protocol, if any; or pieces of the complaint.
type Outcome = Result<Option<String>, [&'static str; 2]>;

#[tokio::test]
async fn encryption_is_as_the_address_says_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let (own, key) = certificate("db.example");
    let file = |name: &str, certificate: &X509| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, certificate.to_pem().unwrap()).unwrap();
        path
    };
    let ca = format!("ca={}", file("own.pem", &own).display());
    let other = format!("ca={}", file("other.pem", &certificate("db.example").0).display());
    let old = format!("{ca}&tls=old");
    let new = Server::Speaks(SslVersion::TLS1_2);
    let ancient = Server::Speaks(SslVersion::TLS1);
    let tls = |version: &str| Ok(Some(version.to_owned()));
    // The server, the name it is called by, the address's options; the protocol, or pieces of the complaint.
    let cases: Vec<(Server, &str, &str, Outcome)> = vec![
        (new, "db.example", &ca, tls("TLSv1.2")),
        (new, "db.example", &old, tls("TLSv1.2")),
        (new, "elsewhere.example", "trust=any", tls("TLSv1.2")),
        (new, "db.example", "", Err(["not trusted", "ca=FILE"])),
        (new, "db.example", &other, Err(["not trusted", "ca=FILE"])),
        (new, "elsewhere.example", &ca, Err(["not trusted", "host name that the certificate has"])),
        (new, "db.example", "encrypt=off", Err(["insists on encryption", "encrypt=off"])),
        (ancient, "db.example", &ca, Err(["no TLS protocol", "tls=old"])),
        (ancient, "db.example", &old, tls("TLSv1")),
        (ancient, "db.example", "tls=old", Err(["not trusted", "ca=FILE"])),
        (Server::Says(ENCRYPT_NOT_SUPPORTED), "db.example", &ca, Err(["offers no encryption", "encrypt=off"])),
        (Server::Says(ENCRYPT_OFF), "db.example", "trust=any&tls=old", Err(["offers no encryption", "encrypt=off"])),
        (Server::Says(ENCRYPT_OFF), "db.example", "encrypt=off", Ok(None)),
        (Server::Says(ENCRYPT_NOT_SUPPORTED), "db.example", "encrypt=off", Ok(None)),
        (Server::Says(ENCRYPT_REQUIRED), "db.example", "encrypt=off", Err(["insists on encryption", "encrypt=off"])),
        (Server::SpeaksHttp, "db.example", &ca, Err(["not a SQL Server", "port"])),
    ];
    for (n, (server, host, options, expected)) in cases.into_iter().enumerate() {
        let port = serve(server, &own, &key).await;
        let came = try_out(host, options, port).await;
        match (came, expected) {
            (Ok(came), Ok(expected)) => assert_eq!(came, expected, "case {n}"),
            (Err(said), Err(pieces)) => pieces.iter().for_each(|p| assert!(said.contains(p), "case {n}: {said}")),
            (came, expected) => panic!("case {n}: {came:?} instead of {expected:?}"),
        }
    }
}
