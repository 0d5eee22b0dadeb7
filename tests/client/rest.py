# SPDX-License-Identifier: Apache-2.0
"""A client of the REST API that knows nothing but the server's own description of it.

Operations are called by their operationId: `await api.getRoom(room="demo")`. What is asked must fit the description
(unless `raw` says otherwise), and whatever comes back must: status, content type, headers, body.
"""
import collections
import json
import urllib.parse

import web

KEYWORDS = {"type", "required", "additionalProperties", "properties", "minimum", "maximum", "items", "$ref", "anyOf", "enum",
            "description", "pattern", "minLength", "maxLength", "format", "default"}
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "number": (int, float), "integer": int}


class Mismatch(AssertionError):
    """What came does not fit what was described."""


class Schemas:
    """JSON Schema, as far as the description uses it; an unknown keyword is an error and not ignored."""

    def __init__(self, document):
        self.document = document

    def resolve(self, thing):
        while "$ref" in thing:
            at = self.document
            for step in thing["$ref"].removeprefix("#/").split("/"):
                at = at[step]
            thing = at
        return thing

    def check(self, value, schema, where="$"):
        unknown = set(schema) - KEYWORDS
        if unknown:
            raise Mismatch("%s: keywords that are not known: %s" % (where, unknown))
        schema = self.resolve(schema)
        if "anyOf" in schema:
            self.check_any(value, schema["anyOf"], where)
        self.check_type(value, schema, where)
        if "enum" in schema and value not in schema["enum"]:
            raise Mismatch("%s: %r is none of %r" % (where, value, schema["enum"]))
        if isinstance(value, dict):
            self.check_object(value, schema, where)
        if isinstance(value, list) and "items" in schema:
            for i, item in enumerate(value):
                self.check(item, schema["items"], "%s/%d" % (where, i))

    def check_any(self, value, schemas, where):
        why = []
        for one in schemas:
            try:
                self.check(value, one, where)
                return
            except Mismatch as e:
                why.append(str(e))
        raise Mismatch("%s: fits none of anyOf: %s" % (where, why))

    def check_type(self, value, schema, where):
        types = schema.get("type", list(TYPES))
        types = [types] if isinstance(types, str) else types
        if not any(isinstance(value, TYPES[t]) and not (isinstance(value, bool) and t in ("number", "integer")) for t in types):
            raise Mismatch("%s: %r is no %s" % (where, value, types))
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if not schema.get("minimum", value) <= value <= schema.get("maximum", value):
                raise Mismatch("%s: %r is out of range" % (where, value))

    def check_object(self, value, schema, where):
        known = schema.get("properties", {})
        missing = set(schema.get("required", ())) - set(value)
        if missing:
            raise Mismatch("%s: without %s" % (where, sorted(missing)))
        for key, item in value.items():
            if key in known:
                self.check(item, known[key], where + "/" + key)
            elif schema.get("additionalProperties", True) is False:
                raise Mismatch("%s: has %r, which is not described" % (where, key))


class Operation:
    def __init__(self, path, method, item, schemas):
        self.path, self.method, self.id = path, method.upper(), item["operationId"]
        self.parameters = {p["name"]: p for p in map(schemas.resolve, item.get("parameters", []))}
        self.body = item["requestBody"]["content"]["application/json"]["schema"] if "requestBody" in item else None
        self.answers = {int(status): schemas.resolve(r) for status, r in item["responses"].items()}

    def url(self, given, schemas, raw):
        path, query, headers = self.path, {}, {}
        for name, value in given.items():
            parameter = self.parameters.get(name)
            where = parameter["in"] if parameter else "query"
            if not raw:
                if not parameter:
                    raise Mismatch("%s has no parameter %s" % (self.id, name))
                schemas.check(value, parameter["schema"], name)
            if where == "path":
                path = path.replace("{%s}" % name, urllib.parse.quote(value, safe=""))
            elif where == "header":
                headers[name] = value
            else:
                query[name] = value
        if "{" in path:
            raise Mismatch("%s: %s lacks a parameter" % (self.id, path))
        return path + ("?" + urllib.parse.urlencode(query) if query else ""), headers


class Description:
    def __init__(self, document):
        self.document, self.schemas, self.operations = document, Schemas(document), {}
        for path, item in document["paths"].items():
            for method, one in item.items():
                operation = Operation(path, method, one, self.schemas)
                if operation.id in self.operations:
                    raise Mismatch("two operations are called " + operation.id)
                self.operations[operation.id] = operation

    def every_status(self):
        return {(o.path, o.method, status) for o in self.operations.values() for status in o.answers}


seen = collections.Counter()            # (path, method, status), of all servers of this run


class Api:
    """A server's API with one token (or none)."""

    def __init__(self, port, description, token=None):
        self.port, self.description, self.token = port, description, token

    @classmethod
    async def of(cls, port, token=None):
        headers = {"Authorization": "Bearer " + token} if token else {}
        answer = await web.request(port, "GET", "/v1/openapi.json", headers)
        if answer.status != 200 or answer.headers["content-type"] != "application/json":
            raise Mismatch("no description: %r" % answer)
        return cls(port, Description(answer.json), token)

    def with_token(self, token):
        return Api(self.port, self.description, token)

    def __getattr__(self, name):
        operation = self.__dict__["description"].operations.get(name)
        if not operation:
            raise AttributeError(name)

        async def call(**given):
            return await self.call(operation, **given)
        return call

    async def call(self, operation, body=None, raw=None, headers=None, content_type="application/json", expect=None, **given):
        """body: JSON that fits the description; raw: bytes that need not, as need the parameters then."""
        schemas = self.description.schemas
        given = {name.replace("_", "-") if name == "If_Match" else name: value for name, value in given.items()}
        path, more = operation.url(given, schemas, raw is not None)
        more.update(headers or {})
        if self.token:
            more.setdefault("Authorization", "Bearer " + self.token)
        if body is not None:
            schemas.check(body, operation.body)
            raw = json.dumps(body).encode()
        if raw is not None and operation.body:
            more.setdefault("Content-Type", content_type)
        answer = await web.request(self.port, operation.method, path, more, raw if operation.body else None)
        self.judge(operation, answer)
        if expect is not None and answer.status != expect:
            raise AssertionError("%s: want %d, got %r" % (operation.id, expect, answer))
        return answer

    def judge(self, operation, answer):
        """Counts it, if it is as described."""
        where = "%s %s: %d" % (operation.method, operation.path, answer.status)
        described = operation.answers.get(answer.status)
        if described is None:
            raise Mismatch("%s is not described: %r" % (where, answer))
        for name, header in described.get("headers", {}).items():
            header = self.description.schemas.resolve(header)
            if header.get("required") and name.lower() not in answer.headers:
                raise Mismatch("%s: without %s" % (where, name))
        content = described.get("content", {})
        kind = answer.headers.get("content-type")
        if not content and (answer.body or kind):
            raise Mismatch("%s: a body that is not described: %r" % (where, answer))
        if content and kind not in content:
            raise Mismatch("%s: %s is not described" % (where, kind))
        if content and "schema" in content[kind]:
            self.description.schemas.check(answer.json, content[kind]["schema"], where)
        if answer.status >= 400 and answer.body and answer.json.get("status") != answer.status:
            raise Mismatch("%s: the problem names another status" % where)
        seen[operation.path, operation.method, answer.status] += 1
