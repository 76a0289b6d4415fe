use std::collections::BTreeSet;

use expect_test::expect;
use serde_json::Map;

use super::*;
use crate::contract;

/// Every credential of the contract with every one of its fields, each text told by its path.
fn all_credentials() -> Vec<(String, Value)> {
    let schemas = contract::components(&["AnyCredential"]);
    let variants = schemas["AnyCredential"]["oneOf"].as_array().unwrap();
    variants
        .iter()
        .map(|variant| {
            let mut value = fill(variant, &schemas, "");
            let provider = provider_of(variant, &schemas);
            value["provider"] = provider.clone().into();
            (provider, value)
        })
        .collect()
}

fn provider_of(variant: &Value, schemas: &Map<String, Value>) -> String {
    let field = &resolve(variant, schemas)["properties"]["provider"];
    let values =
        field.get("const").into_iter().chain(field["enum"].as_array().into_iter().flatten());
    values.map(|value| value.as_str().unwrap().to_owned()).next().unwrap()
}

fn resolve<'s>(schema: &'s Value, schemas: &'s Map<String, Value>) -> &'s Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(reference) => resolve(&schemas[reference.rsplit('/').next().unwrap()], schemas),
        None => schema,
    }
}

fn fill(schema: &Value, schemas: &Map<String, Value>, path: &str) -> Value {
    let schema = resolve(schema, schemas);
    for union in ["oneOf", "anyOf", "allOf"] {
        if let Some(variants) = schema.get(union).and_then(Value::as_array) {
            // All variants at once: no field of any may come through.
            let mut merged = Value::Null;
            for variant in variants {
                match (fill(variant, schemas, path), &mut merged) {
                    (Value::Object(fields), Value::Object(all)) => all.extend(fields),
                    (Value::Null, _) => {}
                    (other, _) => merged = other,
                }
            }
            return merged;
        }
    }
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        let fields = properties
            .iter()
            .map(|(name, field)| (name.clone(), fill(field, schemas, &format!("{path}.{name}"))));
        return Value::Object(fields.collect());
    }
    match schema.get("items") {
        Some(items) => json!([fill(items, schemas, path)]),
        None if schema.get("type").is_some_and(|kind| kind == "boolean") => json!(true),
        None if schema.get("type").is_some_and(|kind| kind == "null") => Value::Null,
        None => path.into(),
    }
}

fn texts(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => fields.values().for_each(|field| texts(field, found)),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::String(text) if text.starts_with('.') => {
            found.insert(text.clone());
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[test]
fn what_comes_back_of_every_credential_of_the_contract_is_listed_here() {
    let (mut shown, mut hidden) = (BTreeSet::new(), BTreeSet::new());
    let all = all_credentials();
    assert!(all.len() > 50, "{}", all.len());
    for (_, mut credential) in all {
        texts(&credential, &mut hidden);
        redact(&mut credential, Scope::Whole);
        texts(&credential, &mut shown);
    }
    let hidden: Vec<_> = hidden.difference(&shown).cloned().collect();
    expect![[r#"
        .apiKey
        .apiSecret
        .authToken
        .authenticationPlan.awsAccessKeyId
        .authenticationPlan.awsSecretAccessKey
        .authenticationPlan.clientSecret
        .authenticationPlan.secretKey
        .authenticationPlan.token
        .authenticationSession.accessToken
        .authenticationSession.refreshToken
        .awsAccessKeyId
        .awsSecretAccessKey
        .bucketPlan.accessKeyId
        .bucketPlan.connectionString
        .bucketPlan.hmacAccessKey
        .bucketPlan.hmacSecret
        .bucketPlan.secretAccessKey
        .gcpKey.privateKey
        .gcpKey.privateKeyId
        .ocpApimSubscriptionKey
        .openAIKey
        .outboundAuthenticationPlan.authPassword
        .signatureSecret
        .vonageApplicationPrivateKey
        .webhookUrl"#]]
    .assert_eq(&hidden.join("\n"));
    expect![[r#"
        .accountEmail
        .accountId
        .accountSid
        .apiUrl
        .applicationId
        .authenticationPlan.algorithm
        .authenticationPlan.clientId
        .authenticationPlan.externalId
        .authenticationPlan.headerName
        .authenticationPlan.messageIdHeader
        .authenticationPlan.payloadFormat
        .authenticationPlan.roleArn
        .authenticationPlan.scope
        .authenticationPlan.signatureEncoding
        .authenticationPlan.signatureHeader
        .authenticationPlan.signaturePrefix
        .authenticationPlan.timestampHeader
        .authenticationPlan.type
        .authenticationPlan.url
        .authenticationSession.expiresAt
        .authorizationId
        .bucketPlan.containerName
        .bucketPlan.name
        .bucketPlan.path
        .bucketPlan.region
        .bucketPlan.url
        .email
        .encryptionPlan.algorithm
        .encryptionPlan.publicKey.format
        .encryptionPlan.publicKey.name
        .encryptionPlan.publicKey.pem
        .encryptionPlan.type
        .fallbackIndex
        .gateways.ip
        .gateways.netmask
        .gateways.outboundProtocol
        .gateways.port
        .gcpKey.authProviderX509CertUrl
        .gcpKey.authUri
        .gcpKey.clientEmail
        .gcpKey.clientId
        .gcpKey.clientX509CertUrl
        .gcpKey.projectId
        .gcpKey.tokenUri
        .gcpKey.type
        .gcpKey.universeDomain
        .groupId
        .models
        .name
        .openAIEndpoint
        .outboundAuthenticationPlan.authUsername
        .outboundAuthenticationPlan.sipRegisterPlan.domain
        .outboundAuthenticationPlan.sipRegisterPlan.realm
        .outboundAuthenticationPlan.sipRegisterPlan.username
        .outboundVoiceProfileId
        .publicKey
        .region
        .s3BucketName
        .s3PathPrefix
        .service
        .sipDiversionHeader
        .teamId
        .techPrefix
        .userId
        .vonageApplicationId"#]]
    .assert_eq(&shown.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn secrets_are_sealed_in_place_and_opened_to_what_they_were() {
    for (provider, credential) in all_credentials() {
        let mut stored = credential.clone();
        let mut secrets = Vec::new();
        let seal = |secret: &mut Value| {
            secrets.push(std::mem::replace(secret, sealed(secrets.len().to_string())));
            Ok::<_, Infallible>(())
        };
        let Ok(()) = change(&mut stored, Scope::Whole, seal);
        let mut shown = stored.clone();
        redact(&mut shown, Scope::Whole);
        assert!(!shown.to_string().contains(SEALED), "{provider}: {shown}");
        let open = |secret: &mut Value| {
            *secret = secrets[token(secret).unwrap().parse::<usize>().unwrap()].clone();
            Ok::<_, Infallible>(())
        };
        let Ok(()) = change(&mut stored, Scope::Whole, open);
        assert_eq!(stored, credential, "{provider}");
    }
}

#[test]
fn only_lists_of_credentials_are_looked_into_in_other_documents() {
    let mut assistant = json!({
        "credentials": [{"provider": "openai", "apiKey": "a"}, {"provider": "email", "email": "b"}],
        "serverUrlSecret": "c",
        "metadata": {"credentials": [{"apiKey": "d"}]},
        "model": {"tools": [{"destinations": [{"assistant": {"credentials": [{"apiKey": "e"}]}}]}]},
    });
    redact(&mut assistant, Scope::Lists);
    assert_eq!(
        assistant,
        json!({
            "credentials": [{"provider": "openai"}, {"provider": "email", "email": "b"}],
            "serverUrlSecret": "c",
            "metadata": {"credentials": [{"apiKey": "d"}]},
            "model": {"tools": [{"destinations": [{"assistant": {"credentials": [{}]}}]}]},
        })
    );
}

#[test]
fn a_phone_number_keeps_what_only_sounds_like_a_secret_below_its_own_fields() {
    let mut number = json!({
        "twilioAccountSid": "a", "twilioAuthToken": "b", "twilioApiKey": "c",
        "hooks": [{"on": "call.ringing", "filters": [{"key": "number"}]}],
        "server": {"secret": "d"},
        "fallbackDestination": {"transferPlan": {"transferAssistant": {"credentials": [{"apiKey": "e"}]}}},
    });
    redact(&mut number, Scope::Own);
    assert_eq!(
        number,
        json!({
            "twilioAccountSid": "a",
            "hooks": [{"on": "call.ringing", "filters": [{"key": "number"}]}],
            "server": {"secret": "d"},
            "fallbackDestination": {"transferPlan": {"transferAssistant": {"credentials": [{}]}}},
        })
    );
}
