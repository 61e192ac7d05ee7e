"""The contracts as a judge: is this answer what rpc/openrpc.json promises? Knows the part of JSON Schema used there, and
fails on any other keyword, so that nothing passes unjudged."""
import json
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# What any call may be answered with, whatever its contract lists.
GENERAL = {'PARSE_ERROR', 'INVALID_REQUEST', 'METHOD_NOT_FOUND', 'INVALID_PARAMS', 'INTERNAL', 'RESPONSE_TOO_LARGE',
           'OVERLOADED', 'LIMIT_EXCEEDED', 'FORBIDDEN', 'METHOD_DISABLED'}
SILENT = {'description', 'default', 'contentEncoding'}


def load(path):
    with open(os.path.join(ROOT, path)) as f:
        return json.load(f)


DOCUMENT = load('rpc/openrpc.json')
METHODS = {m['name']: m for m in DOCUMENT['methods']}
ERRORS = {e['name']: e for e in load('rpc/errors.json')['errors']}


def is_type(value, name):
    return {'object': isinstance(value, dict), 'array': isinstance(value, list), 'string': isinstance(value, str),
            'integer': isinstance(value, int) and not isinstance(value, bool), 'boolean': isinstance(value, bool),
            'null': value is None}[name]


def check(value, schema, where='result'):
    """A list of what is wrong with VALUE."""
    bad = []
    for key, rule in schema.items():
        if key == '$ref':
            bad += check(value, DOCUMENT['components']['schemas'][rule.split('/')[-1]], where)
        elif key == 'type':
            if not is_type(value, rule):
                return [f'{where}: {value!r} is not of type {rule}']
        elif key == 'enum':
            if value not in rule:
                bad.append(f'{where}: {value!r} is none of {rule}')
        elif key == 'const':
            if value != rule:
                bad.append(f'{where}: {value!r} is not {rule!r}')
        elif key == 'pattern':
            if isinstance(value, str) and not re.search(rule, value):
                bad.append(f'{where}: {value!r} does not match {rule}')
        elif key in ('minimum', 'maximum'):
            if isinstance(value, int) and (value < rule if key == 'minimum' else value > rule):
                bad.append(f'{where}: {value} is beyond {key} {rule}')
        elif key in ('maxLength', 'maxItems'):
            if isinstance(value, (str, list)) and len(value) > rule:
                bad.append(f'{where}: longer than {rule}')
        elif key == 'items':
            for i, item in enumerate(value if isinstance(value, list) else []):
                bad += check(item, rule, f'{where}[{i}]')
        elif key == 'required':
            bad += [f'{where}: {name} is missing' for name in rule if isinstance(value, dict) and name not in value]
        elif key == 'properties':
            for name, inner in rule.items():
                if isinstance(value, dict) and name in value:
                    bad += check(value[name], inner, f'{where}.{name}')
        elif key == 'additionalProperties':
            extra = set(value) - set(schema.get('properties', {})) if isinstance(value, dict) else set()
            if rule is False:
                bad += [f'{where}: {name} is not in the contract' for name in sorted(extra)]
            elif isinstance(rule, dict):
                for name in extra:
                    bad += check(value[name], rule, f'{where}.{name}')
        elif key in ('anyOf', 'oneOf'):
            tries = [check(value, inner, where) for inner in rule]
            fits = sum(not t for t in tries)
            if fits == 0 or (key == 'oneOf' and fits > 1):
                bad.append(f'{where}: {fits} of {len(rule)} alternatives fit: {min(tries, key=len)}')
        elif key not in SILENT:
            raise ValueError(f'unknown keyword {key}')
    return bad


def check_response(method, response):
    """What is wrong with one response object to a call of METHOD (None: no method known)."""
    bad = []
    if not isinstance(response, dict) or response.get('jsonrpc') != '2.0' or 'id' not in response:
        return [f'not a JSON-RPC response: {response!r}']
    if set(response) - {'jsonrpc', 'id'} not in ({'result'}, {'error'}):
        return ['neither a result nor an error, or more than that']
    if 'error' in response:
        return check_error(method, response['error'])
    if method not in METHODS:
        return [f'a result for {method}, which has no contract']
    return bad + check(response['result'], METHODS[method]['result']['schema'])


def check_error(method, error):
    bad = check(error, {'$ref': '#/components/schemas/Error'}, 'error')
    if bad:
        return bad
    entry = ERRORS[error['data']['name']]
    if error['code'] != entry['code'] or error['data']['retry'] != entry['retry']:
        bad.append(f'error: code or retry is not that of {entry["name"]}')
    if (entry['retry'] == 'later') != ('retryAfterMs' in error['data']):
        bad.append('error: retryAfterMs goes with retry later, and with nothing else')
    listed = {e['data']['name'] for e in METHODS[method]['errors']} if method in METHODS else set()
    if entry['name'] not in listed | GENERAL:
        bad.append(f'error: {entry["name"]} is not in the contract of {method}')
    return bad
