use std::time::Duration;

use equipoise::{
    health::{Report, Standing},
    probes::Agent,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::{
    asking::{asked_at, refused_at, stalls},
    serving::{goes_on, nobody, resets, says, says_and_hangs, serve},
};

#[tokio::test]
async fn an_agents_line_is_its_report() {
    let report = asked_at(&Agent::new(), says_and_hangs("drain 75%, up maxconn:30\n").await).await;
    let expected = Report::new().with_standing(Standing::Draining).with_percent(75);
    assert_eq!(report, Ok(expected));
    let agent = says_and_hangs("maint\rdown\n").await;
    let report = asked_at(&Agent::at_port(agent.port()).unwrap(), nobody().await).await;
    assert_eq!(report, Ok(Report::new().with_standing(Standing::Maintenance)));
    let said = refused_at(&Agent::new(), says_and_hangs("ready down # 3 of 4 disks\r\n").await).await;
    assert_eq!(said, "the backend says down: '3 of 4 disks'");
}

#[tokio::test]
async fn an_agent_for_many_is_told_of_which_it_is_asked() {
    let address = serve(async |stream| {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        let answer = if line == "cart\n" { "up 10%\n" } else { "down\n" };
        // Slowly, and in parts.
        for part in answer.as_bytes() {
            stream.write_all(&[*part]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
    let report = asked_at(&Agent::new().send("cart\n"), address).await;
    assert_eq!(report, Ok(Report::new().with_percent(10)));
    assert!(asked_at(&Agent::new().send("shop\n"), address).await.is_err());
}

#[tokio::test]
async fn what_is_no_line_of_an_agent_fails() {
    let whole = "expected a line of at most 1024 bytes that ends with CR or LF, but there came ";
    for (words, shown) in [("", "''"), ("up", "'up'"), ("\u{1b}", r"'\u{1b}'")] {
        let said = refused_at(&Agent::new(), says(words).await).await;
        assert_eq!(said, format!("{whole}{shown}"));
    }
    // No more is read of one that has no end.
    let said = refused_at(&Agent::new(), goes_on("up ", "up ").await).await;
    assert!(said.starts_with(whole), "{said}");
    let longest = format!("{:<1023}\n", "up");
    assert!(asked_at(&Agent::new(), says(longest.clone()).await).await.is_ok());
    assert!(
        asked_at(&Agent::new(), says(format!(" {longest}")).await)
            .await
            .is_err()
    );
    let said = refused_at(&Agent::new(), says("SSH-2.0-OpenSSH_9.9\r\n").await).await;
    assert_eq!(
        said,
        "expected a word of an agent, such as 'up', but there came 'SSH-2.0-OpenSSH_9.9'"
    );
    refused_at(&Agent::new(), says(*b"\xff\xfe\xfd\n").await).await;
    refused_at(&Agent::new(), resets().await).await;
    refused_at(&Agent::new(), nobody().await).await;
}

#[tokio::test]
async fn an_agent_that_says_nothing_is_waited_for() {
    assert!(stalls(&Agent::new(), says_and_hangs("").await).await);
    assert!(stalls(&Agent::new(), says_and_hangs("up").await).await);
}
