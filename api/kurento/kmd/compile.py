#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""compile.py FOLDER OUT.c — the KMD files of FOLDER as the C tables of kms.h and tables.h.

FOLDER/<module>.kmd.json and <module>.<Class>.kmd.json are merged per module: that is today's interface, and what
getKmd() answers. FOLDER/6.18.0 adds what older clients know: under RENAMED an old name of something of today's, under
OWN something that has no other name. Anything else that only 6.18.0 has stops the build.
"""
import glob
import json
import os
import re
import sys

MODULES = ('core', 'elements', 'filters')
SECTIONS = ('remoteClasses', 'complexTypes', 'events')
# All three modules have one name in the interface.
QUALIFIER = 'kurento'

RENAMED_PROPERTIES = {
    'childs': 'children',
    'minOuputBitrate': 'minEncoderBitrate',
    'minOutputBitrate': 'minEncoderBitrate',
    'maxOuputBitrate': 'maxEncoderBitrate',
    'maxOutputBitrate': 'maxEncoderBitrate',
}
RENAMED_METHODS = {'setOutputBitrate': 'setEncoderBitrate'}
RENAMED_PARAMS = {'bitrate': 'encoderBitrate'}
RENAMED_EVENTS = {
    'DataChannelClose': 'DataChannelClosed',
    'DataChannelOpen': 'DataChannelOpened',
    'IceComponentStateChange': 'IceComponentStateChanged',
    'MediaFlowInStateChange': 'MediaFlowInStateChanged',
    'MediaFlowOutStateChange': 'MediaFlowOutStateChanged',
    'MediaTranscodingStateChange': 'MediaTranscodingStateChanged',
    'OnDataChannelClosed': 'DataChannelClosed',
    'OnDataChannelOpened': 'DataChannelOpened',
    'OnIceCandidate': 'IceCandidateFound',
    'OnIceComponentStateChanged': 'IceComponentStateChanged',
    'OnIceGatheringDone': 'IceGatheringDone',
}
# Properties of 6.18.0 that are none of today's: they stay methods of their own.
OWN_PROPERTIES = {'externalAddress'}

KINDS = {
    'String': 'KMS_STRING', 'int': 'KMS_INT', 'int64': 'KMS_INT64', 'boolean': 'KMS_BOOL',
    'float': 'KMS_DOUBLE', 'double': 'KMS_DOUBLE',
}


# ---- reading ----

def load(path):
    """KMD is JSON written by people: comments, single quotes, commas before a bracket, line breaks in strings."""
    with open(path, encoding='utf-8') as file:
        text = file.read()
    string = r'"(?:\\.|[^"\\])*"'

    def plain(match):
        token = match.group(0)
        if token[0] == "'":
            return json.dumps(token[1:-1].replace("\\'", "'"))
        return token if token[0] == '"' else ' '

    text = re.sub(string + r"|'(?:\\.|[^'\\])*'|//[^\n]*|/\*.*?\*/", plain, text, flags=re.S)
    text = re.sub('(' + string + r')|,(?=\s*[}\]])', lambda match: match.group(1) or '', text, flags=re.S)
    return json.loads(text, strict=False)


def read_module(folder, name):
    """All files of a module as one description."""
    files = [os.path.join(folder, name + '.kmd.json')]
    files += sorted(glob.glob(os.path.join(folder, name + '.*.kmd.json')))
    module = {}
    for path in files:
        for key, value in load(path).items():
            if key in SECTIONS:
                module.setdefault(key, []).extend(value)
            else:
                module.setdefault(key, value)
    return {key: module[key] for key in sorted(module, key=lambda key: key in SECTIONS)}


def read_all(folder):
    return {name: read_module(folder, name) for name in MODULES}


# ---- one model of all modules ----

def capital(name):
    return name[0].upper() + name[1:]


def by_name(items):
    return {item['name']: item for item in items}


class Model:
    """Everything by its name, each with the module it is from."""

    def __init__(self, modules):
        self.classes, self.records, self.enums, self.events = {}, {}, {}, {}
        for module, kmd in modules.items():
            for item in kmd.get('remoteClasses', []):
                self.add(self.classes, item, module)
            for item in kmd.get('complexTypes', []):
                self.add(self.enums if item['typeFormat'] == 'ENUM' else self.records, item, module)
            for item in kmd.get('events', []):
                self.add(self.events, item, module)

    @staticmethod
    def add(table, item, module):
        if item['name'] in table:
            sys.exit('compile.py: %s is described twice' % item['name'])
        table[item['name']] = dict(item, module=module)

    def adopt(self, old):
        """Takes over what only an older description has."""
        for name, cls in old.classes.items():
            if name not in self.classes:
                sys.exit('compile.py: class %s is gone' % name)
            self.adopt_class(self.classes[name], cls)
        for name, event in old.events.items():
            if name not in self.events and self.events.get(RENAMED_EVENTS.get(name)) is None:
                sys.exit('compile.py: event %s has no new name' % name)
        for ours, theirs in ((self.records, old.records), (self.events, old.events)):
            for name in set(ours) & set(theirs):
                self.adopt_members(ours[name], theirs[name])
        for name, enum in old.enums.items():
            if set(enum['values']) - set(self.enums[name]['values']):
                sys.exit('compile.py: enum %s has lost words' % name)

    @staticmethod
    def adopt_class(cls, old):
        properties, methods = by_name(cls.get('properties', [])), by_name(cls.get('methods', []))
        for prop in old.get('properties', []):
            if prop['name'] in OWN_PROPERTIES:
                cls['properties'] = cls['properties'] + [prop]
            elif prop['name'] not in properties and RENAMED_PROPERTIES.get(prop['name']) not in properties:
                sys.exit('compile.py: property %s has no new name' % prop['name'])
        for method in old.get('methods', []):
            if method['name'] not in methods and method['name'] not in RENAMED_METHODS:
                sys.exit('compile.py: method %s has no new name' % method['name'])

    @staticmethod
    def adopt_members(item, old):
        known = by_name(item.get('properties', []))
        extra = [dict(prop, optional=True) for prop in old.get('properties', []) if prop['name'] not in known]
        item['properties'] = item.get('properties', []) + extra


def methods_of(cls):
    """Methods of a class, its properties' accessors among them."""
    methods = [dict(name=m['name'], params=m.get('params', []), returns=m.get('return', {}).get('type'))
               for m in cls.get('methods', [])]
    for prop in cls.get('properties', []):
        name = capital(prop['name'])
        methods.append(dict(name='get' + name, params=[], returns=prop['type']))
        if not prop.get('final') and not prop.get('readOnly'):
            methods.append(dict(name='set' + name, returns=None,
                                params=[dict(name=prop['name'], type=prop['type'])]))
    return sorted(methods, key=lambda method: method['name'])


def method_aliases(model):
    """Old names of methods; a read-only property has no setter under its old name, either."""
    known = {m['name'] for cls in model.classes.values() for m in methods_of(cls)}
    names = dict(RENAMED_METHODS)
    for old, new in RENAMED_PROPERTIES.items():
        for verb in ('get', 'set'):
            if verb + capital(new) in known:
                names[verb + capital(old)] = verb + capital(new)
    if set(names) & known or set(names.values()) - known:
        sys.exit('compile.py: an old name of a method is one of today\'s, or leads nowhere')
    return names


# ---- writing ----

def quoted(text):
    """A C string: in pieces, for no line of the table is to be endless."""
    def escape(char):
        if char in '"\\':
            return '\\' + char
        return char if ' ' <= char <= '~' else '\\%03o' % ord(char)

    pieces = [text[i:i + 80] for i in range(0, len(text), 80)] or ['']
    # "??" begins a trigraph.
    return '\n\t'.join('"%s"' % ''.join(map(escape, piece)).replace('??', '?\\?') for piece in pieces)


class Writer:
    def __init__(self, model, out):
        self.model, self.out, self.lists = model, out, 0
        self.index = {}
        for table, kind in ((model.enums, 'KMS_ENUM'), (model.records, 'KMS_RECORD'),
                            (model.classes, 'KMS_OBJECT')):
            for position, name in enumerate(sorted(table)):
                self.index[name] = (kind, position)

    def line(self, text=''):
        self.out.write(text + '\n')

    def type(self, text):
        """struct kms_type of "int", "Tag[]", "Stats<>" or None."""
        if text is None:
            return '{.kind = KMS_VOID}'
        name = re.sub(r'\[\]$|<>$', '', text)
        kind, index = (KINDS[name], 0) if name in KINDS else self.index[name]
        return '{%s, %s, %s, %d}' % (kind, str(text.endswith('[]')).lower(), str(text.endswith('<>')).lower(), index)

    def array(self, declaration, rows):
        """A list of its own; what points to it. C has no empty arrays."""
        if not rows:
            return 'NULL'
        self.lists += 1
        name = 'list%d' % self.lists
        self.line('static const %s%s[] = {' % (declaration, name))
        for row in rows:
            self.line('\t%s,' % row)
        self.line('};')
        return name

    def params(self, params):
        rows = []
        for p in params:
            default = quoted(json.dumps(p['defaultValue'])) if 'defaultValue' in p else 'NULL'
            optional = p.get('optional', False) or 'defaultValue' in p
            rows.append('{"%s", %s, %s, %s}' % (p['name'], self.type(p['type']), str(optional).lower(), default))
        return self.array('struct kms_param ', rows)

    def table(self, declaration, count, rows):
        self.line('const %s[] = {' % declaration)
        for row in rows:
            self.line('\t{%s},' % row)
        self.line('};')
        self.line('const size_t %s = %d;' % (count, len(rows)))
        self.line()

    def parent(self, item, table, array):
        return '&%s[%d]' % (array, sorted(table).index(item['extends'])) if item.get('extends') else 'NULL'

    def enums(self):
        rows = []
        for name, enum in sorted(self.model.enums.items()):
            words = self.array('char *const ', ['"%s"' % word for word in enum['values']])
            rows.append('"%s", %s, %d' % (name, words, len(enum['values'])))
        self.table('struct kms_enum kms_enums', 'kms_enum_count', rows)

    def records(self):
        rows = []
        for name, record in sorted(self.model.records.items()):
            members = record.get('properties', [])
            rows.append('"%s", "%s", %s, %s, %d' % (
                QUALIFIER, name, self.parent(record, self.model.records, 'kms_records'),
                self.params(members), len(members)))
        self.table('struct kms_record kms_records', 'kms_record_count', rows)

    def events(self):
        rows = []
        for name, event in sorted(self.model.events.items()):
            members = event.get('properties', [])
            rows.append('"%s", %s, %s, %d' % (
                name, self.parent(event, self.model.events, 'kms_event_types'), self.params(members), len(members)))
        self.table('struct kms_event_type kms_event_types', 'kms_event_type_count', rows)

    def methods(self, cls):
        methods = methods_of(cls)
        rows = ['{"%s", %s, %d, %s}' % (m['name'], self.params(m['params']), len(m['params']), self.type(m['returns']))
                for m in methods]
        return self.array('struct kms_method ', rows), len(methods)

    def class_events(self, cls):
        order = sorted(self.model.events)
        names = sorted(cls.get('events', []))
        return self.array('struct kms_event_type *const ', ['&kms_event_types[%d]' % order.index(n) for n in names]), len(names)

    def classes(self):
        rows = []
        for index, (name, cls) in enumerate(sorted(self.model.classes.items())):
            params = cls.get('constructor', {}).get('params', [])
            rows.append('"%s", "%s", "%s", %s, %s,\n\t %s, %d, %s, %d, %s, %d, %d' % (
                QUALIFIER, name, cls['module'], self.parent(cls, self.model.classes, 'kms_classes'),
                str(cls.get('abstract', False)).lower(), self.params(params), len(params),
                *self.methods(cls), *self.class_events(cls), index))
        self.table('struct kms_class kms_classes', 'kms_class_count', rows)

    def aliases(self, what, names):
        self.table('struct kms_alias kms_%s_aliases' % what, 'kms_%s_alias_count' % what,
                   ['"%s", "%s"' % pair for pair in sorted(names.items())])

    def modules(self, modules):
        rows = []
        for name, kmd in sorted(modules.items()):
            self.line('static const char kmd_%s[] =\n\t%s;' % (name, quoted(json.dumps(kmd, separators=(',', ':')))))
            rows.append('"%s", {kmd_%s, sizeof(kmd_%s) - 1}' % (name, name, name))
        self.table('struct kms_module kms_modules', 'kms_module_count', rows)


def main(folder, out):
    modules = read_all(folder)
    model = Model(modules)
    model.adopt(Model(read_all(os.path.join(folder, '6.18.0'))))
    with open(out + '.part', 'w', encoding='ascii') as file:
        writer = Writer(model, file)
        writer.line('/* Written by api/kurento/kmd/compile.py; do not edit. */')
        writer.line('#include "api/kurento/tables.h"\n')
        writer.enums()
        writer.records()
        writer.events()
        writer.classes()
        writer.aliases('method', method_aliases(model))
        writer.aliases('event', RENAMED_EVENTS)
        writer.aliases('param', dict(RENAMED_PROPERTIES, **RENAMED_PARAMS))
        writer.modules(modules)
    os.replace(out + '.part', out)


if __name__ == '__main__':
    if len(sys.argv) != 3:
        sys.exit('usage: compile.py FOLDER OUT.c')
    main(sys.argv[1], sys.argv[2])
