//! A mistake in `DATABASE_URL` is answered with one sentence and leaves nothing behind.

use std::path::Path;

use shared::db::{ConnectError, Database, DatabaseUrl, DbConnection, PoolOptions};

async fn connect_error(url: &DatabaseUrl) -> String {
    match Database::connect(url, PoolOptions::default()).await {
        Err(ConnectError::Unreachable(sentence)) => sentence,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("{url} could be opened"),
    }
}

fn assert_is_one_line(sentence: &str) {
    assert!(
        !sentence.contains('\n') && !sentence.is_empty(),
        "{sentence:?}"
    );
}

#[test]
fn an_address_that_names_no_database_is_refused_before_anything_is_opened() {
    for (text, problem) in [
        ("postgres:yizhan", "postgres: must be followed by //"),
        ("postgresql:/yizhan", "postgresql: must be followed by //"),
        ("postgre://localhost/yizhan", "unknown scheme \"postgre\""),
        ("mysql://localhost/yizhan", "unknown scheme \"mysql\""),
        ("yizhan.db", "no scheme"),
        ("sqlite:", "no file named after sqlite:"),
        ("sqlite::memory:", "only a plain file path"),
    ] {
        let sentence = text.parse::<DatabaseUrl>().unwrap_err().to_string();
        assert_is_one_line(&sentence);
        assert!(
            sentence.starts_with(&format!("DATABASE_URL: {problem}")),
            "{text}: {sentence}"
        );
    }
}

#[tokio::test]
async fn a_missing_folder_is_named_and_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let url = DatabaseUrl::sqlite_file(&missing.join("x.db"));
    let sentence = connect_error(&url).await;
    assert_is_one_line(&sentence);
    assert_eq!(
        sentence,
        format!(
            "database {url}: the folder {} does not exist",
            missing.display()
        )
    );
    assert!(!missing.exists());
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letter.txt");
    let text = "This is a letter, not a database. ".repeat(100);
    std::fs::write(&file, &text).unwrap();
    let sentence = connect_error(&DatabaseUrl::sqlite_file(&file)).await;
    assert_is_one_line(&sentence);
    assert!(sentence.contains("not a database"), "{sentence}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[tokio::test]
async fn a_folder_in_place_of_the_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let sentence = connect_error(&DatabaseUrl::sqlite_file(folder.path())).await;
    assert_is_one_line(&sentence);
    assert!(sentence.starts_with("database sqlite:"), "{sentence}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_without_its_password_and_no_file_appears() {
    // Nobody listens on port 1.
    let url: DatabaseUrl = "postgres://yizhan:geheim@127.0.0.1:1/yizhan"
        .parse()
        .unwrap();
    let sentence = connect_error(&url).await;
    assert_is_one_line(&sentence);
    assert!(
        sentence.starts_with("database postgres://yizhan@127.0.0.1:1/yizhan: "),
        "{sentence}"
    );
    assert!(sentence.contains("refused"), "{sentence}");
    assert!(!sentence.contains("geheim"), "{sentence}");
    assert!(DbConnection::establish(&url).is_err());
    assert!(!Path::new("postgres:").exists());
}

/// The driver repeats what it cannot read.
#[tokio::test]
async fn what_the_driver_says_about_the_address_is_passed_on_without_its_quotations() {
    for (query, words) in [
        ("password=x&geheim=y", "invalid URI query parameter: \"…\""),
        ("sslmode=geheim", "invalid sslmode value: \"…\""),
    ] {
        let url = format!("postgres://yizhan@127.0.0.1:1/x?{query}");
        let sentence = connect_error(&url.parse().unwrap()).await;
        assert_is_one_line(&sentence);
        assert!(sentence.contains(words), "{sentence}");
        assert!(!sentence.contains("heim"), "{sentence}");
    }
}

#[tokio::test]
async fn a_database_that_does_not_exist_on_the_server_is_named() {
    let database = crate::harness::TestDatabase::postgres().await;
    let server = database.url().reveal();
    let (address, options) = server.split_once('?').unwrap();
    let (host, _) = address.rsplit_once('/').unwrap();
    let url: DatabaseUrl = format!("{host}/yizhna?{options}").parse().unwrap();
    let sentence = connect_error(&url).await;
    assert_is_one_line(&sentence);
    assert!(sentence.contains("\"yizhna\" does not exist"), "{sentence}");
}

#[test]
fn a_revealed_address_can_be_read_again() {
    for text in [
        "sqlite:./data/yizhan.db",
        "postgres://a:b@one:5432,two:5433/yizhan?target_session_attrs=read-write",
    ] {
        let url: DatabaseUrl = text.parse().unwrap();
        assert_eq!(url.reveal().parse::<DatabaseUrl>().unwrap(), url);
    }
}
