#!/usr/bin/env python3
"""Distils a public OpenAPI document of the Vapi API into the table of facts that the server validates with.

    python3 api/tools/distill.py OPENAPI.json > api/contract/shapes.json

Kept: names of fields, types, ranges, lengths, patterns, enums, what is required, what tells the variants of a union
apart. Dropped: descriptions, titles, examples, defaults. The notation is described in `api/contract/README.md`.

Where the document contradicts itself or the vendor's documentation pages, the corrections are applied here: general
ones in `Distiller.type_of`, single facts in the tables at the top. What could not be kept is reported on standard
error, one line each.
"""

import json
import re
import sys

# Fields tried, in this order, to tell the variants of a union apart.
DISCRIMINATORS = ["provider", "type", "on", "role", "method", "strategy", "format", "column", "key"]

# Sub-types shorter than this (as JSON text) are written out where they stand; longer ones that occur twice get a name.
SHARE_FROM_CHARS = 60

# Shapes named first, so that the unions they share with others are called after their fields.
NAMED_FIRST = ["CreateAssistantDTO", "CreateCallDTO"]

# Shapes that no operation refers to but that the wire carries: webhooks, control messages, stored credentials.
EXTRA_ROOTS = re.compile(
    r"^(ClientMessage|ServerMessage|ServerMessageResponse|ClientInboundMessage|(Create|Update)\w*DTO)$"
)

# Sub-types that get a name of our choice, by a place where they stand. Others that are shared are called after a field.
GIVEN_NAMES = {
    "Call.endedReason": "EndedReason",
    "Call.status": "CallStatus",
    "Call.messages[]": "AnyCallMessage",
    "CallHookAssistantSpeechInterrupted.do[]": "AnyHookAction",
    "CreateAssistantDTO.clientMessages[]": "ClientMessageName",
    "CreateAssistantDTO.hooks[]": "AnyHook",
    "CreateAssistantDTO.model": "AnyModel",
    "CreateAssistantDTO.serverMessages[]": "ServerMessageName",
    "CreateAssistantDTO.transcriber": "AnyTranscriber",
    "CreateAssistantDTO.voice": "AnyVoice",
    "CreateFunctionToolDTO.messages[]": "AnyToolMessage",
    "FallbackPlan.voices[]": "AnyFallbackVoice",
    "FallbackTranscriberPlan.transcribers[]": "AnyFallbackTranscriber",
    "OpenAIModel.tools[]": "AnyTool",
    "SayHookAction.prompt|1[]": "AnyChatMessage",
}

# Operations whose body is an anonymous union get a name of their own.
BODY_NAMES = {
    "post /phone-number": "CreatePhoneNumberDTO",
    "patch /phone-number/{id}": "UpdatePhoneNumberDTO",
    "post /tool": "CreateToolDTO",
    "patch /tool/{id}": "UpdateToolDTO",
    "post /reporting/insight": "CreateInsightDTO",
    "patch /reporting/insight/{id}": "UpdateInsightDTO",
    "post /reporting/insight/preview": "PreviewInsightDTO",
}

SCALAR_OR_OBJECT = {"or": ["str", "object"]}

# Types that are wrong in the document: scalars declared as objects, arguments that are text on one page and an object
# on another. Keyed by "Shape.field"; a trailing [] means the items.
CORRECTED_FIELDS = {
    # Page "Custom voices": any voice of one's own.
    "DeepgramVoice.voiceId": "str",
    "FallbackDeepgramVoice.voiceId": "str",
    "BackoffPlan.excludedStatusCodes": ["num 100..599"],
    "ChatEvalAssistantMessageMockToolCall.arguments": SCALAR_OR_OBJECT,
    "FilterStructuredOutputColumnOnCallTable.value": "any",
    "InsightTimeRange.end": "str",
    "InsightTimeRange.start": "str",
    "InsightTimeRangeWithStep.end": "str",
    "InsightTimeRangeWithStep.start": "str",
    "NeuphonicVoice.language": "str",
    "FallbackNeuphonicVoice.language": "str",
    "ToolCallFunction.arguments": SCALAR_OR_OBJECT,
    "ToolVersion.type": "str",
    # One page writes a list, the document a single character.
    "KeypadInputPlan.delimiters": {"or": [{"one": ["#", "*", ""]}, [{"one": ["#", "*", ""]}]]},
}

ASSISTANTS = r"(Create|Update)?Assistant(DTO)?|AssistantOverrides"
TOOLS = r"(Create|Update)?{}Tool(DTO)?"

# Fields that the vendor's pages show and its live service accepts, but that the document lacks. The shapes are regular
# expressions of whole names; a field that a shape has already stays as it is.
EXTRA_FIELDS = [
    # Page "Call timeout settings".
    (ASSISTANTS, {"silenceTimeoutSeconds": "num 1..3600"}),
    # Page "Customer join timeout".
    (ASSISTANTS, {"customerJoinTimeoutSeconds": "num 1..60"}),
    # Page "Voicemail detection"; superseded by backgroundSpeechDenoisingPlan.
    (ASSISTANTS, {"backgroundDenoisingEnabled": "bool"}),
    # Page "HIPAA compliance".
    (r"CompliancePlan", {"forceStoreOnHipaaEnabled": "bool"}),
    # Page "Server authentication", and the pages on custom voices and knowledge bases.
    (r"Server", {"secret": "str"}),
    # Page "WebSocket transport": what POST /call answers.
    (r"Call", {"subscriptionLimits": "@SubscriptionLimits"}),
    # Page "Transcriber fallback plan".
    (r"FallbackTranscriberPlan", {"autoFallback": "@AutoFallback"}),
    # Page "Squads".
    (r"(Create|Update)?Squad(DTO)?", {"memberOverrides": "@AssistantOverrides"}),
    # Page "Bring your own knowledge base".
    (r"(?!Workflow|Eval)\w+Model", {"knowledgeBaseId": "str"}),
    # Pages "Call forwarding" and "Assistant-based warm transfer".
    (
        r"TransferPlan",
        {"voicemailDetectionType": {"one": ["audio", "transcript"]}, "transferAssistant": "@TransferAssistant"},
    ),
    # Pages on tools and hooks name and describe tools of every type like function tools.
    (TOOLS.format(r"\w+"), {"function": "@OpenAIFunction"}),
    (TOOLS.format(r"(GoogleCalendar|GoogleSheets|Slack)\w+"), {"name": "str", "description": "str"}),
    (TOOLS.format(r"(GoHighLevel\w+|Sms)"), {"metadata": "object"}),
    (TOOLS.format("Function"), {"knowledgeBases": ["@KnowledgeBase"]}),
]

# Names of language models that the document lists. Vendors add and retire models every month: any name is accepted, and
# the vendor's own endpoint says which there are.
MODEL_NAMES = re.compile(r"\w*Model\.(model|fallbackModels\[\])")
MODEL_NAME = "str 1..200"

# Values that the vendor's pages show beside those of the document.
EXTRA_VALUES = {
    "InworldVoice.model": ["inworld-tts-1.5-mini", "inworld-tts-1.5-max"],
    "FallbackInworldVoice.model": ["inworld-tts-1.5-mini", "inworld-tts-1.5-max"],
    "TransferPlan.mode": ["warm-transfer-with-message", "warm-transfer-with-summary", "warm-transfer-with-twiml"],
}

# JSON Schema has more keywords than the document lists; they are handed on to the model.
OPEN_SHAPES = ["JsonSchema", "OpenAIFunctionParameters"]

ACTIONS = ["@AnyHookAction"]

# Shapes that only the vendor's pages describe.
EXTRA_SHAPES = {
    # Page "Assistant hooks".
    "CallHookCallTimeElapsed": {
        "has": {
            "on!": {"one": ["call.timeElapsed"]},
            "do!": ACTIONS,
            "options!": "@CallTimeElapsedOptions",
            "name": "str ..1000",
        }
    },
    "CallTimeElapsedOptions": {"has": {"seconds!": "num 1..3600"}},
    "CallHookLowConfidence": {
        "has": {
            "on!": {
                "like": r"^assistant\.transcriber\.endpointedSpeechLowConfidence(?:\[[^\[\]]*\])?$",
                "size": "..1000",
            },
            "do!": ACTIONS,
            "options": "@LowConfidenceOptions",
            "name": "str ..1000",
        }
    },
    # Page "Transcriber fallback plan".
    "AutoFallback": {"has": {"enabled": "bool"}},
    "LowConfidenceOptions": {"has": {"confidenceMin": "num 0..1", "confidenceMax": "num 0..1"}},
    # Page "Voice pipeline configuration".
    "KrispSmartEndpointingPlan": {"has": {"provider!": {"one": ["krisp"]}, "threshold": "num 0..1"}},
    # Page "WebSocket transport": the transport as the answer to POST /call shows it.
    "VapiWebsocketCallTransport": {
        "has": {
            "conversationType": {"one": ["voice"]},
            "provider!": {"one": ["vapi.websocket"]},
            "audioFormat": "@AudioFormat",
            "websocketCallUrl": "str",
        }
    },
    # Sent to clients like the server's status update, but missing among the client messages.
    "ClientMessageStatusUpdate": {
        "has": {
            "phoneNumber": "@CreatePhoneNumberDTO",
            "type!": {"one": ["status-update"]},
            "status!": "@CallStatus",
            "endedReason": "@EndedReason",
            "timestamp": "num",
            "call": "@Call",
            "customer": "@CreateCustomerDTO",
            "assistant": "@CreateAssistantDTO",
        }
    },
    # Messages of a conversation as a model sees them. The document refers to the transcript's messages of a call
    # instead, which happen to have the same names.
    "ChatSystemMessage": {
        "has": {"role!": {"one": ["system"]}, "content!": "str", "name": "str ..40", "metadata": "object"}
    },
    "ChatUserMessage": {
        "has": {"role!": {"one": ["user"]}, "content!": "str", "name": "str ..40", "metadata": "object"}
    },
}

# What stands for "tells the variants apart" where the document gives any string, or every variant all the values.
# `[*]` stands for options in brackets: `customer.speech.timeout[timeout=10]`.
TAGS = {
    ("BotMessage", "role"): ["bot"],
    ("CallHookCustomerSpeechTimeout", "on"): ["customer.speech.timeout", "customer.speech.timeout[*]"],
    ("CallHookLowConfidence", "on"): [
        "assistant.transcriber.endpointedSpeechLowConfidence",
        "assistant.transcriber.endpointedSpeechLowConfidence[*]",
    ],
    ("CustomEndpointingModelSmartEndpointingPlan", "provider"): ["custom-endpointing-model"],
    ("LivekitSmartEndpointingPlan", "provider"): ["livekit"],
    ("SystemMessage", "role"): ["system"],
    ("ToolCallMessage", "role"): ["tool_calls"],
    ("ToolCallResultMessage", "role"): ["tool_call_result"],
    ("UserMessage", "role"): ["user"],
    ("VapiSmartEndpointingPlan", "provider"): ["vapi"],
}

HOOKS = [
    "@CallHookCallEnding",
    "@CallHookCallTimeElapsed",
    "@CallHookAssistantSpeechInterrupted",
    "@CallHookCustomerSpeechInterrupted",
    "@CallHookCustomerSpeechTimeout",
    "@CallHookLowConfidence",
    "@CallHookModelResponseTimeout",
    "@SessionCreatedHook",
]

# A union that contains the first variant gets the others; `without` are left out.
CORRECTED_UNIONS = [
    {"having": "@CallHookCallEnding", "with": HOOKS, "without": []},
    {"having": "@VapiSmartEndpointingPlan", "with": ["@KrispSmartEndpointingPlan"], "without": []},
    {"having": "@ClientMessageHang", "with": ["@ClientMessageStatusUpdate"], "without": []},
    {
        "having": "@DeveloperMessage",
        "with": ["@ChatSystemMessage", "@ChatUserMessage"],
        "without": ["@SystemMessage", "@UserMessage"],
    },
]

# Corrections of one union only.
CORRECTED_VARIANTS = {
    # The answer tells where to connect to.
    "Call.transport": {"@VapiWebsocketTransport": ["@VapiWebsocketCallTransport"]},
    # An assistant may apologise before the call ends.
    "CallHookCallEnding.do[]": {"@ToolCallHookAction": ["@SayHookAction", "@ToolCallHookAction"]},
}

# Required by the document before they can exist, or although the vendor's pages leave them out.
NOT_REQUIRED = {
    "EvalRun": ["endedAt", "endedReason", "cost", "costs"],
    "FallbackNeuphonicVoice": ["language"],
    "FallbackSpeechmaticsTranscriber": ["customVocabulary"],
    "KnowledgeBase": ["provider"],
    "NeuphonicVoice": ["language"],
    "SpeechmaticsTranscriber": ["customVocabulary"],
}


class Distiller:
    def __init__(self, document):
        self.document = document
        self.schemas = document["components"]["schemas"]
        self.shapes = {}
        self.reports = []

    def run(self):
        roots = [name for name in self.schemas if EXTRA_ROOTS.match(name)]
        for path, operations in self.document["paths"].items():
            for method, operation in operations.items():
                for content in self.contents(operation):
                    schema = content.get("schema", {})
                    roots += refs(schema)
                body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
                name = BODY_NAMES.get(f"{method} {path}")
                if name:
                    self.shapes[name] = self.type_of(body, name)
        self.shapes.update(EXTRA_SHAPES)
        todo = roots + list(NAMED_FIRST)
        for shape in EXTRA_SHAPES.values():
            todo += references(shape)
        while todo:
            name = todo.pop()
            if name in self.shapes or name in GIVEN_NAMES.values():
                continue
            self.shapes[name] = self.shape_of(name)
            todo += references(self.shapes[name])
        share(self.shapes)
        return self.shapes

    @staticmethod
    def contents(operation):
        yield from operation.get("requestBody", {}).get("content", {}).values()
        for status, response in operation.get("responses", {}).items():
            if status.startswith("2"):
                yield from response.get("content", {}).values()

    def shape_of(self, name):
        schema = self.schemas[name]
        required = set(schema.get("required", [])) - set(NOT_REQUIRED.get(name, []))
        fields = {}
        for field, sub in schema.get("properties", {}).items():
            where = f"{name}.{field}"
            kind = CORRECTED_FIELDS.get(where) or self.type_of(sub, where)
            tags = TAGS.get((name, field))
            if tags:
                kind = {"like": bracketed(tags[0])} if len(tags) > 1 else {"one": tags}
            fields[field + ("!" if field in required else "")] = kind
        for names, extra in EXTRA_FIELDS:
            if re.fullmatch(names, name):
                known = {field.rstrip("!") for field in fields}
                fields.update({field: kind for field, kind in extra.items() if field not in known})
        return {"has": fields, **({"more": "any"} if name in OPEN_SHAPES else {})}

    def type_of(self, schema, where):
        kind = self.type_without_null(schema, where)
        if not schema.get("nullable") or kind == "any":
            return kind
        return "?" + kind if isinstance(kind, str) else {"null": kind}

    def type_without_null(self, schema, where):
        if "$ref" in schema:
            return "@" + schema["$ref"].rsplit("/", 1)[1]
        if "oneOf" in schema:
            return self.union_of(schema, where)
        if "allOf" in schema:
            return self.type_of(schema["allOf"][0], where)
        kind = schema.get("type")
        if kind == "array":
            items = dict(schema.get("items", {}))
            # An enum or a length on the array is meant for its items.
            for keyword in ("enum", "maxLength", "minLength"):
                if keyword in schema:
                    items.setdefault(keyword, schema[keyword])
            item = self.type_of(items, where + "[]") if items else "any"
            size = span(schema, "minItems", "maxItems")
            return {"list": item, "size": size} if size else [item]
        if schema.get("enum") and MODEL_NAMES.fullmatch(where):
            return MODEL_NAME
        if schema.get("enum"):
            return {"one": list(dict.fromkeys(schema["enum"] + EXTRA_VALUES.get(where, [])))}
        if kind == "object":
            if "items" in schema:
                return {"or": [[self.type_of(schema["items"], where + "[]")], self.type_of(schema["items"], where)]}
            more = schema.get("additionalProperties")
            if isinstance(more, dict) and more:
                return {"map": self.type_of(more, where + "{}")}
            return "object"
        if kind == "boolean":
            return "bool"
        if kind in ("number", "integer"):
            name = "int" if kind == "integer" else "num"
            size = span(schema, "minimum", "maximum")
            return f"{name} {size}" if size else name
        if kind == "string":
            return self.string_of(schema, where)
        if kind == "null":
            return "null"
        self.reports.append(f"{where}: no type, anything is accepted")
        return "any"

    def string_of(self, schema, where):
        size = span(schema, "minLength", "maxLength")
        pattern = schema.get("pattern")
        if pattern is not None:
            literal = re.fullmatch(r"/(.*)/[a-z]*", pattern)
            pattern = literal.group(1) if literal else pattern
            if portable(pattern):
                return {"like": pattern, **({"size": size} if size else {})}
            self.reports.append(f"{where}: pattern {pattern!r} cannot be translated, dropped")
        if schema.get("format") in ("uuid", "date-time", "uri"):
            return schema["format"]
        return f"str {size}" if size else "str"

    def union_of(self, schema, where):
        variants = []
        for index, variant in enumerate(schema["oneOf"]):
            # An empty enum is an oversight for "any string".
            variant = {k: v for k, v in variant.items() if not (k == "enum" and v == [])}
            kind = self.type_of(variant, f"{where}|{index}")
            if kind not in variants:
                variants.append(kind)
        if "str" in variants:
            # Known values beside "any string" are suggestions.
            variants = [
                v for v in variants if not (isinstance(v, dict) and all(isinstance(x, str) for x in v.get("one", [1])))
            ]
        variants = corrected(where, variants)
        if len(variants) == 1:
            return variants[0]
        names = [v[1:] for v in variants if isinstance(v, str) and v.startswith("@")]
        explicit = schema.get("discriminator", {}).get("propertyName")
        for field in ([explicit] if explicit else []) + DISCRIMINATORS:
            table = self.discriminate(names, field) if len(names) > 1 else None
            if table:
                tagged = {"by": field, "of": table}
                others = [v for v in variants if not (isinstance(v, str) and v[1:] in names)]
                return {"or": others + [tagged]} if others else tagged
        if all(isinstance(v, dict) and "one" in v for v in variants):
            return {"one": list(dict.fromkeys(x for v in variants for x in v["one"]))}
        return {"or": variants}

    def discriminate(self, names, field):
        """Value of `field` -> variant, or None when the field does not tell the variants apart."""
        table = {}
        for name in names:
            values = self.tags(name, field)
            if not values:
                return None
            for value in values:
                table.setdefault(value, []).append("@" + name)
        if len(table) == 1 and len(names) > 1:
            return None
        return {value: found[0] if len(found) == 1 else {"or": found} for value, found in table.items()}

    def tags(self, name, field):
        """The values of `field` that mean the shape `name`; empty when it has no fixed ones."""
        if (name, field) in TAGS:
            return TAGS[name, field]
        if name in EXTRA_SHAPES:
            kind = EXTRA_SHAPES[name]["has"].get(field + "!")
            return kind["one"] if isinstance(kind, dict) and "one" in kind else []
        schema = self.schemas[name]["properties"].get(field, {})
        values = schema.get("enum") or []
        return values if all(isinstance(v, str) for v in values) else []


def corrected(where, variants):
    """The variants of the union at `where` as the vendor's pages have them."""
    for rule in CORRECTED_UNIONS:
        if rule["having"] in variants:
            variants = [v for v in variants if v not in rule["without"]]
            variants = rule["with"] + [v for v in variants if v not in rule["with"]]
    swaps = CORRECTED_VARIANTS.get(where, {})
    out = []
    for variant in variants:
        out += swaps.get(variant, [variant]) if isinstance(variant, str) else [variant]
    return out


def refs(schema):
    """Names of the schemas that `schema` refers to directly."""
    found = []
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref":
                found.append(value.rsplit("/", 1)[1])
            elif key != "mapping":
                found += refs(value)
    elif isinstance(schema, list):
        for value in schema:
            found += refs(value)
    return found


def references(kind):
    """Names of the shapes that a distilled type refers to."""
    if isinstance(kind, str):
        return [kind.lstrip("?")[1:]] if kind.lstrip("?").startswith("@") else []
    values = kind if isinstance(kind, list) else [v for k, v in kind.items() if k not in ("one", "by", "like", "size")]
    return [name for value in values for name in references(value)]


def bracketed(tag):
    """The pattern of a tag that may be followed by options in brackets."""
    return "^" + tag.replace(".", r"\.") + r"(?:\[[^\[\]]*\])?$"


def span(schema, low, high):
    """`1..64`, `1..`, `..64`, or nothing."""
    if low not in schema and high not in schema:
        return ""
    text = ["" if schema.get(k) is None else json.dumps(schema[k]) for k in (low, high)]
    return "" if text == ["", ""] else "..".join(text)


def portable(pattern):
    """Whether the pattern is a regular expression without look-around and back-references."""
    return re.match(r"\^|\(|\[", pattern) is not None and not re.search(r"\(\?(?!:)|\\[1-9k]", pattern)


def share(shapes):
    """Gives every sub-type that is long and occurs more than once a name, and refers to it by that name."""
    counts, first, names = {}, {}, {}

    def count(kind, where):
        if isinstance(kind, str):
            return
        if isinstance(kind, dict) and "has" not in kind:
            text = json.dumps(kind)
            counts[text] = counts.get(text, 0) + 1
            first.setdefault(text, where)
            if where in GIVEN_NAMES:
                names[text] = GIVEN_NAMES[where]
        for step, sub in children(kind):
            count(sub, where + step)

    for name in NAMED_FIRST + sorted(set(shapes) - set(NAMED_FIRST)):
        count(shapes[name], name)

    for text, where in first.items():
        if counts[text] < 2 or len(text) < SHARE_FROM_CHARS or text in names:
            continue
        stem = name_after(where, json.loads(text))
        name, number = stem, 2
        while name in shapes or name in names.values():
            name, number = f"{stem}{number}", number + 1
        names[text] = name

    def replace(kind, top=False):
        if isinstance(kind, str):
            return kind
        if isinstance(kind, list):
            return [replace(kind[0])]
        name = None if top else names.get(json.dumps(kind))
        if name:
            return "@" + name
        out = dict(kind)
        for key, value in kind.items():
            if key == "has":
                out[key] = {field: replace(sub) for field, sub in value.items()}
            elif key == "or":
                out[key] = [replace(sub) for sub in value]
            elif key in ("null", "list", "map"):
                out[key] = replace(value)
        return out

    for name in list(shapes):
        shapes[name] = replace(shapes[name])
    for text, name in names.items():
        shapes[name] = replace(json.loads(text), top=True)


def children(kind):
    """The types inside a type, each with the step of the path that leads there."""
    if isinstance(kind, list):
        yield "[]", kind[0]
        return
    for name, sub in kind.get("has", {}).items():
        yield "." + name.rstrip("!"), sub
    for index, sub in enumerate(kind.get("or", [])):
        yield f"|{index}", sub
    for key, step in (("null", ""), ("list", "[]"), ("map", "{}")):
        if key in kind:
            yield step, kind[key]


def name_after(where, kind):
    """A name for a shared type, after the field where it stands first."""
    field = re.sub(r"\|\d+|\{\}", "", where).rsplit(".", 1)[-1]
    base = re.sub(r"\W", "", field)
    if field.endswith("[]"):
        base = re.sub(r"ies$", "y", base) if base.endswith("ies") else re.sub(r"(?<!s)s$", "", base)
    base = base[:1].upper() + base[1:]
    return f"{base}Value" if "one" in kind else f"Any{base}"


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: distill.py OPENAPI.json > shapes.json")
    with open(sys.argv[1], encoding="utf-8") as file:
        distiller = Distiller(json.load(file))
    shapes = distiller.run()
    lines = [
        f"{json.dumps(n)}:{json.dumps(shapes[n], separators=(',', ':'), ensure_ascii=False)}" for n in sorted(shapes)
    ]
    print("{\n" + ",\n".join(lines) + "\n}")
    for report in distiller.reports:
        print(report, file=sys.stderr)


if __name__ == "__main__":
    main()
