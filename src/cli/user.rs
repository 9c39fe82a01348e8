//! `griot user …`: members, for whoever runs the server.

use std::io::Read;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::output;
use crate::accounts::{Accounts, AccountsError, FieldProblem, NewAccount};
use crate::app::{Config, Rooms};
use crate::base::Secret;
use crate::geo;
use crate::store::{Role, StoreError, User};

/// Longer than any password that is typed or generated; a file sent by mistake ends here.
const PASSWORD_BYTES_MAX: u64 = 4_096;

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Makes a member; prints `{"id": …}`.
    Add(Add),
    /// Sets a new password; whoever is logged in has to do so again.
    Passwd {
        #[command(flatten)]
        user: Who,
        #[command(flatten)]
        password: PasswordStdin,
    },
    /// Changes what a member may do.
    Role {
        #[command(flatten)]
        user: Who,
        /// From now on.
        role: RoleName,
    },
    /// Keeps a member from logging in and publishing.
    Disable(Who),
    /// Lets a disabled member in again.
    Enable(Who),
    /// Prints all members, one JSON object a line.
    List,
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// Unique; at most 150 letters, digits and @ . + - _
    username: String,
    /// Unique; what they log in with.
    #[arg(long)]
    email: String,
    /// Where they live: an id, a name, or "name, commune". Without it no live can be started.
    #[arg(long, value_name = "ID-OR-NAME")]
    quartier: Option<String>,
    /// What they may do.
    #[arg(long, default_value = "user")]
    role: RoleName,
    #[command(flatten)]
    password: PasswordStdin,
}

#[derive(Debug, Args)]
pub(super) struct Who {
    /// Id, user name or e-mail address.
    user: String,
}

/// Arguments are seen by every process of the machine, so a password is never one.
#[derive(Debug, Args)]
pub(super) struct PasswordStdin {
    /// Reads the password from stdin; a line end at its end does not count.
    #[arg(long, required = true)]
    password_stdin: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum RoleName {
    User,
    Ambassador,
    Admin,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::User => Self::User,
            RoleName::Ambassador => Self::Ambassador,
            RoleName::Admin => Self::Admin,
        }
    }
}

pub(super) async fn user(config: &Config, command: UserCommand) -> anyhow::Result<()> {
    let rooms = Rooms::open(config, &mut |_| {}).await?;
    let done = execute(&rooms, command).await;
    rooms.close().await;
    done
}

async fn execute(rooms: &Rooms, command: UserCommand) -> anyhow::Result<()> {
    let accounts = &rooms.accounts;
    match command {
        UserCommand::Add(add) => {
            let quartier_id = match &add.quartier {
                Some(quartier) => Some(geo::resolve_quartier(&rooms.store, quartier).await?.id),
                None => None,
            };
            let account = NewAccount {
                username: add.username,
                email: add.email,
                password: Some(password_from_stdin()?),
                quartier_id,
                role: Some(add.role.into()),
                ..NewAccount::default()
            };
            let made = accounts.create_user(account).await.map_err(say)?;
            output::json(&json!({ "id": made.id }))
        }
        UserCommand::Passwd { user, .. } => {
            let user = find(accounts, &user).await?;
            let password = password_from_stdin()?;
            accounts.set_password(user.id, &password).await.map_err(say)
        }
        UserCommand::Role { user, role } => {
            let user = find(accounts, &user).await?;
            accounts.set_role(user.id, role.into()).await.map_err(say)
        }
        UserCommand::Disable(who) => set_active(accounts, &who, false).await,
        UserCommand::Enable(who) => set_active(accounts, &who, true).await,
        UserCommand::List => {
            for user in accounts.users().await.map_err(say)? {
                output::json(&json!({
                    "id": user.id,
                    "username": user.username,
                    "email": user.email,
                    "role": user.role.as_str(),
                    "quartier": user.quartier_id,
                    "active": user.is_active,
                    "date_joined": user.date_joined,
                }))?;
            }
            Ok(())
        }
    }
}

async fn set_active(accounts: &Accounts, who: &Who, active: bool) -> anyhow::Result<()> {
    let user = find(accounts, who).await?;
    accounts.set_active(user.id, active).await.map_err(say)
}

async fn find(accounts: &Accounts, who: &Who) -> anyhow::Result<User> {
    let found = accounts.find_user(&who.user).await.map_err(say)?;
    found.with_context(|| format!("there is no member {}", who.user))
}

fn password_from_stdin() -> anyhow::Result<Secret> {
    let mut text = String::new();
    std::io::stdin()
        .take(PASSWORD_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .context("the password cannot be read from stdin")?;
    if u64::try_from(text.len()).is_ok_and(|bytes| bytes > PASSWORD_BYTES_MAX) {
        bail!("the password on stdin is longer than {PASSWORD_BYTES_MAX} bytes");
    }
    Ok(Secret::new(text.trim_end_matches(['\n', '\r'])))
}

/// What `accounts` refuses, in words for a terminal.
fn say(error: AccountsError) -> anyhow::Error {
    match error {
        AccountsError::Fields(fields) => {
            let problems: Vec<String> = fields
                .iter()
                .map(|(field, problem)| format!("{field} {}", words(*problem)))
                .collect();
            anyhow::anyhow!(problems.join("; "))
        }
        AccountsError::Store(StoreError::NotFound) => anyhow::anyhow!("there is no such member"),
        other => other.into(),
    }
}

fn words(problem: FieldProblem) -> String {
    match problem {
        FieldProblem::Required => "is missing".to_owned(),
        FieldProblem::TooLong(most) => format!("has more than {most} characters"),
        FieldProblem::TooShort(least) => format!("has fewer than {least} characters"),
        FieldProblem::Malformed => "has characters or a form that it may not have".to_owned(),
        FieldProblem::Taken => "is taken".to_owned(),
        FieldProblem::Unknown => "is not known".to_owned(),
    }
}
