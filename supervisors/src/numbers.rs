//! Phone numbers: which one a call is for, and what its carrier is reached with.
//!
//! A number's webhooks come to addresses with the number's id. An application of Telnyx's or
//! Vonage's has one address for all its numbers: whose call it is, [`StoredNumber::of_call`] tells.

mod account;
mod keys;
mod setup;
mod telnyx;
mod twilio;
mod vonage;

use offhook_api::{NumberProvider, PhoneNumberView};
use offhook_store::{Kind, ListFilter, Store, StoreError};
use serde_json::Value;
use uuid::Uuid;

pub use account::{
    AccountError, CarrierAccount, TelnyxAccount, TwilioAccount, VonageAccount, carrier_account,
    carrier_account_of, line_limits,
};
pub use setup::{Addresses, CarrierSetup, Exchange, Mismatch, SetupError};

/// Numbers of one organisation that are looked through for the one that was called.
pub const NUMBERS_MAX: usize = 10_000;

/// A phone number as it lies in the store: its secrets are sealed.
#[derive(Clone, Debug)]
pub struct StoredNumber {
    pub org: String,
    pub id: Uuid,
    pub view: PhoneNumberView,
    pub document: Value,
}

impl StoredNumber {
    /// The number of this id, whichever of the organisations has it: a webhook names none.
    pub async fn find(
        store: &Store,
        orgs: impl IntoIterator<Item = &str> + Send,
        id: Uuid,
    ) -> Result<Option<Self>, StoreError> {
        let orgs: Vec<&str> = orgs.into_iter().collect();
        for org in orgs {
            let found = store.get(org, Kind::PhoneNumber, id).await?;
            if let Some(number) = found.and_then(|found| Self::read(org, id, found.body)) {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// The organisation's number that reads like this, of this provider, other than one.
    pub async fn named(
        store: &Store,
        org: &str,
        provider: NumberProvider,
        number: &str,
        other_than: Option<Uuid>,
    ) -> Result<Option<Self>, StoreError> {
        let wanted = plain(number).to_owned();
        let is_it = move |document: &offhook_store::Document| {
            Some(document.id) != other_than
                && document.body["provider"] == provider.name()
                && document.body["number"].as_str().is_some_and(|number| plain(number) == wanted)
        };
        let filter = ListFilter { limit: 1, ..ListFilter::default() };
        let found = store.list(org, Kind::PhoneNumber, filter, Some(Box::new(is_it))).await?;
        Ok(found.into_iter().find_map(|found| Self::read(org, found.id, found.body)))
    }

    /// All numbers of an organisation, the newest first.
    pub async fn all(store: &Store, org: &str) -> Result<Vec<Self>, StoreError> {
        let filter = ListFilter { limit: NUMBERS_MAX, ..ListFilter::default() };
        let found = store.list(org, Kind::PhoneNumber, filter, None).await?;
        Ok(found.into_iter().filter_map(|it| Self::read(org, it.id, it.body)).collect())
    }

    /// The number that was called (`dialled`, in E.164 or without its plus), which shares the
    /// application with the one whose address was asked; that one when there is no other.
    pub async fn of_call(self, store: &Store, dialled: &str) -> Result<Self, StoreError> {
        if plain(&self.view.number) == plain(dialled) {
            return Ok(self);
        }
        let other = Self::named(store, &self.org, self.view.provider, dialled, None).await?;
        Ok(other.unwrap_or(self))
    }

    /// A document of the store; `None` when it is of a provider that there are no numbers of here.
    pub fn read(org: &str, id: Uuid, document: Value) -> Option<Self> {
        let view = PhoneNumberView::read(&document)?;
        Some(Self { org: org.to_owned(), id, view, document })
    }
}

/// Vonage leaves the plus out.
fn plain(number: &str) -> &str {
    number.trim_start_matches('+')
}

#[cfg(test)]
mod tests {
    use offhook_store::{Document, Faults};
    use serde_json::json;

    use super::*;

    async fn put(store: &Store, org: &str, id: u128, provider: &str, number: &str) {
        let id = Uuid::from_u128(id);
        let body = json!({"id": id.to_string(), "provider": provider, "number": number});
        let (org, kind) = (org.to_owned(), Kind::PhoneNumber);
        let document = Document { org, kind, id, created_at_ms: 1, updated_at_ms: 1, body };
        store.put(document).await.unwrap();
    }

    #[tokio::test]
    async fn a_number_is_found_in_whichever_organisation_it_is() {
        let store = Store::in_memory(Faults::default());
        put(&store, "b", 1, "twilio", "+14155550100").await;
        let find = async |id| StoredNumber::find(&store, ["a", "b"], Uuid::from_u128(id)).await;
        let found = find(1).await.unwrap().unwrap();
        assert_eq!((found.org.as_str(), found.view.number.as_str()), ("b", "+14155550100"));
        assert!(find(2).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_call_is_for_the_number_that_was_dialled_even_at_another_s_address() {
        let store = Store::in_memory(Faults::default());
        put(&store, "a", 1, "vonage", "+14155550100").await;
        put(&store, "a", 2, "vonage", "+14155550101").await;
        put(&store, "a", 3, "telnyx", "+14155550102").await;
        let of_call = async |dialled| {
            let asked = StoredNumber::find(&store, ["a"], Uuid::from_u128(1)).await.unwrap();
            asked.unwrap().of_call(&store, dialled).await.unwrap().id.as_u128()
        };
        assert_eq!(of_call("14155550100").await, 1);
        assert_eq!(of_call("14155550101").await, 2);
        assert_eq!(of_call("+14155550101").await, 2);
        assert_eq!(of_call("+14155550102").await, 1, "that one is another carrier's");
    }
}
