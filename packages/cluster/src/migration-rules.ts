// What a CorDapp's migrations may say. They run as a user who owns nothing but the CorDapp's tables; this keeps code out of
// those tables, because what stands in them would later run in the name of whoever writes rows.
//
// A list of what is allowed, over PostgreSQL's own syntax tree: a statement, a clause or an expression that is not named
// here is refused, whatever it is. Tables are followed through all files, so that a migration touches only what this package
// has made, and entities are held against the tables that come out in the end.

export interface MigrationFault {
  /** Offset in bytes of the UTF-8 text. */
  readonly at: number;
  readonly reason: string;
}

export interface MigrationTable {
  readonly columns: Map<string, MigrationColumn>;
  primaryKey: readonly string[];
}

interface MigrationColumn {
  type: string;
  required: boolean;
  filled: boolean;
}

/** All that the migrations so far have made. */
export interface MigrationSchema {
  readonly tables: Map<string, MigrationTable>;
  readonly indexes: Map<string, string>;
}

export type SyntaxNode = Readonly<Record<string, unknown>>;

/** As the parser gives it. */
export interface Statement {
  readonly stmt?: SyntaxNode;
  readonly stmt_location?: number;
}

class Refused extends Error {
  readonly at: number | undefined;
  constructor(reason: string, at?: number) {
    super(reason);
    this.at = at;
  }
}

/** Applies the statements of one file to `schema`; what is refused changes nothing there. */
export function checkStatements(schema: MigrationSchema, statements: readonly Statement[]): readonly MigrationFault[] {
  const faults: MigrationFault[] = [];
  for (const { stmt, stmt_location: start = 0 } of statements) {
    try {
      const [kind, node] = oneOf(stmt);
      const check = Object.hasOwn(STATEMENTS, kind) ? STATEMENTS[kind] : undefined;
      if (check === undefined) throw new Refused(`${kind} is not among the statements of a migration, which are ${ALLOWED}`);
      check(schema, node);
    } catch (thrown) {
      if (!(thrown instanceof Refused)) throw thrown;
      faults.push({ at: thrown.at ?? start, reason: thrown.message });
    }
  }
  return faults;
}

const ALLOWED = "CREATE TABLE, CREATE INDEX, ALTER TABLE, COMMENT, DROP TABLE, DROP INDEX, INSERT, UPDATE and DELETE";

const STATEMENTS: Readonly<Record<string, (schema: MigrationSchema, node: SyntaxNode) => void>> = {
  CreateStmt(schema, node) {
    only(node, "relation", "tableElts", "oncommit");
    const name = relation(node["relation"]);
    if (schema.tables.has(name)) throw new Refused(`there is a table ${name} already`);
    const table: MigrationTable = { columns: new Map(), primaryKey: [] };
    const elements = list(node["tableElts"]).map(oneOf);
    // Among those that it may refer to.
    schema.tables.set(name, table);
    try {
      for (const [kind, element] of elements) if (kind === "ColumnDef") addColumn(schema, name, table, element);
      for (const [kind, element] of elements) {
        if (kind === "Constraint") constraint(schema, table, element);
        else if (kind !== "ColumnDef") throw new Refused(`${kind} is not allowed in a table`);
      }
    } catch (thrown) {
      schema.tables.delete(name);
      throw thrown;
    }
  },

  IndexStmt(schema, node) {
    only(node, "idxname", "relation", "accessMethod", "indexParams", "whereClause", "unique");
    const table = relation(node["relation"]);
    own(schema, table);
    if (node["accessMethod"] !== "btree") throw new Refused(`an index of kind ${node["accessMethod"]}: only btree is allowed`);
    for (const param of list(node["indexParams"])) {
      const element = as("IndexElem", param);
      only(element, "name", "collation", "ordering", "nulls_ordering");
      columnOf(own(schema, table), element["name"]);
      if (element["collation"] !== undefined) collation(list(element["collation"]));
    }
    expression(own(schema, table), node["whereClause"]);
    if (node["idxname"] !== undefined) schema.indexes.set(identifier(node["idxname"]), table);
  },

  AlterTableStmt(schema, node) {
    only(node, "relation", "cmds", "objtype");
    const name = relation(node["relation"]);
    const table = own(schema, name);
    if (node["objtype"] !== "OBJECT_TABLE") throw new Refused("only tables are altered");
    for (const command of list(node["cmds"])) alter(schema, name, table, as("AlterTableCmd", command));
  },

  CommentStmt(schema, node) {
    only(node, "objtype", "object", "comment");
    const [table, column] = path(as("List", node["object"])["items"]);
    const found = own(schema, table ?? "");
    if (node["objtype"] === "OBJECT_COLUMN") columnOf(found, column);
    else if (node["objtype"] !== "OBJECT_TABLE" || column !== undefined) throw new Refused("only tables and columns have comments here");
  },

  DropStmt(schema, node) {
    only(node, "objects", "removeType", "behavior");
    for (const object of list(node["objects"])) {
      const [name = "", ...rest] = path(as("List", object)["items"]);
      if (rest.length > 0) throw new Refused("names carry no schema here");
      if (node["removeType"] === "OBJECT_TABLE") {
        own(schema, name);
        schema.tables.delete(name);
        for (const [index, of] of schema.indexes) if (of === name) schema.indexes.delete(index);
      } else if (node["removeType"] === "OBJECT_INDEX") {
        if (!schema.indexes.delete(name)) throw new Refused(`this package has made no index ${name}`);
      } else throw new Refused("only tables and indexes are dropped");
    }
  },

  InsertStmt(schema, node) {
    only(node, "relation", "cols", "selectStmt", "override");
    if (node["override"] !== "OVERRIDING_NOT_SET") throw new Refused("OVERRIDING is not allowed");
    const table = own(schema, relation(node["relation"]));
    for (const column of list(node["cols"])) columnOf(table, as("ResTarget", column)["name"]);
    const select = as("SelectStmt", node["selectStmt"]);
    only(select, "valuesLists", "limitOption", "op");
    for (const row of list(select["valuesLists"])) for (const value of list(as("List", row)["items"])) expression(NO_COLUMNS, value);
  },

  UpdateStmt(schema, node) {
    only(node, "relation", "targetList", "whereClause");
    const table = own(schema, relation(node["relation"]));
    for (const target of list(node["targetList"]).map((each) => as("ResTarget", each))) {
      only(target, "name", "val");
      columnOf(table, target["name"]);
      expression(table, target["val"]);
    }
    expression(table, node["whereClause"]);
  },

  DeleteStmt(schema, node) {
    only(node, "relation", "whereClause");
    expression(own(schema, relation(node["relation"])), node["whereClause"]);
  },
};

const NO_COLUMNS: MigrationTable = { columns: new Map(), primaryKey: [] };

function alter(schema: MigrationSchema, name: string, table: MigrationTable, command: SyntaxNode): void {
  only(command, "subtype", "name", "def", "behavior", "missing_ok");
  if (command["missing_ok"] === true) throw new Refused("IF EXISTS is not allowed: a migration knows what there is");
  const column = () => columnOf(table, command["name"]);
  switch (command["subtype"]) {
    case "AT_AddColumn":
      addColumn(schema, name, table, as("ColumnDef", command["def"]));
      return;
    case "AT_DropColumn":
      column();
      table.columns.delete(String(command["name"]));
      return;
    case "AT_AlterColumnType": {
      const definition = as("ColumnDef", command["def"]);
      only(definition, "typeName", "collClause", "raw_default", "is_local");
      column().type = columnType(definition["typeName"]);
      if (definition["collClause"] !== undefined) collation(list((definition["collClause"] as SyntaxNode)["collname"]));
      expression(table, definition["raw_default"]);
      return;
    }
    case "AT_ColumnDefault":
      column().filled = command["def"] !== undefined;
      constant(command["def"]);
      return;
    case "AT_SetNotNull":
      column().required = true;
      return;
    case "AT_DropNotNull":
      column().required = false;
      return;
    case "AT_AddConstraint":
      constraint(schema, table, as("Constraint", command["def"]));
      return;
    case "AT_DropConstraint":
      identifier(command["name"]);
      return;
    default:
      throw new Refused(`ALTER TABLE adds, drops and alters columns and constraints, and nothing else (${command["subtype"]})`);
  }
}

function addColumn(schema: MigrationSchema, name: string, table: MigrationTable, node: SyntaxNode): void {
  only(node, "colname", "typeName", "is_local", "collClause", "constraints");
  const column = identifier(node["colname"]);
  if (table.columns.has(column)) throw new Refused(`table ${name} has a column ${column} already`, locationOf(node));
  if (node["collClause"] !== undefined) collation(list((node["collClause"] as SyntaxNode)["collname"]));
  const added = { type: columnType(node["typeName"]), required: false, filled: false };
  table.columns.set(column, added);
  for (const each of list(node["constraints"])) constraint(schema, table, as("Constraint", each), column);
}

const CONSTRAINT = [
  ...["contype", "conname", "raw_expr", "keys", "pktable", "pk_attrs", "fk_attrs", "fk_matchtype", "fk_upd_action", "fk_del_action"],
  ...["initially_valid", "skip_validation"],
];

/** Of one column where `of` names it. */
function constraint(schema: MigrationSchema, table: MigrationTable, node: SyntaxNode, of?: string): void {
  only(node, ...CONSTRAINT);
  if (node["conname"] !== undefined) identifier(node["conname"]);
  const column = of === undefined ? undefined : table.columns.get(of);
  const keys = of === undefined ? path(node["keys"] ?? node["fk_attrs"] ?? []) : [of];
  for (const key of keys) columnOf(table, key);
  switch (node["contype"]) {
    case "CONSTR_NULL":
      return;
    case "CONSTR_NOTNULL":
      if (column !== undefined) column.required = true;
      return;
    case "CONSTR_DEFAULT":
      if (column !== undefined) column.filled = true;
      constant(node["raw_expr"]);
      return;
    case "CONSTR_CHECK":
      expression(table, node["raw_expr"]);
      return;
    case "CONSTR_PRIMARY":
      table.primaryKey = keys;
      for (const key of keys) columnOf(table, key).required = true;
      return;
    case "CONSTR_UNIQUE":
      return;
    case "CONSTR_FOREIGN": {
      const target = own(schema, relation(node["pktable"]));
      for (const key of path(node["pk_attrs"])) columnOf(target, key);
      return;
    }
    default:
      throw new Refused(`the constraint ${node["contype"]} is not allowed`, locationOf(node));
  }
}

// --- Names ---

const IDENTIFIER = /^[a-z_][a-z0-9_]{0,62}$/;
/** What an entity's properties can lie in. */
const TYPES: Readonly<Record<string, string>> = {
  text: "text",
  varchar: "text",
  int2: "integer",
  int4: "integer",
  int8: "bigint",
  numeric: "decimal",
  timestamptz: "instant",
  uuid: "uuid",
  bytea: "bytes",
  bool: "boolean",
  jsonb: "json",
};

function identifier(value: unknown): string {
  if (typeof value === "string" && IDENTIFIER.test(value) && !value.startsWith("pg_") && value !== "schema_migration") return value;
  throw new Refused(`"${value}" is no name for it: use lower case letters, digits and underscores, at most 63, and no pg_ in front`);
}

function relation(node: unknown): string {
  const range = node as SyntaxNode;
  if (range["schemaname"] !== undefined || range["catalogname"] !== undefined)
    throw new Refused("tables are named without a schema: there is only the CorDapp's own", locationOf(range));
  only(range, "relname", "inh", "relpersistence");
  if (range["relpersistence"] !== "p" || range["inh"] !== true)
    throw new Refused("tables are neither temporary nor unlogged, and stand without ONLY", locationOf(range));
  return identifier(range["relname"]);
}

function own(schema: MigrationSchema, name: string): MigrationTable {
  const table = schema.tables.get(name);
  if (table === undefined) throw new Refused(`this package has made no table ${name}`);
  return table;
}

function columnOf(table: MigrationTable, name: unknown): MigrationColumn {
  const column = typeof name === "string" ? table.columns.get(name) : undefined;
  if (column === undefined) throw new Refused(`there is no column ${name}`);
  return column;
}

function typeName(node: unknown): string {
  const type = node as SyntaxNode;
  only(type, "names", "typemod", "typmods");
  const names = path(type["names"]);
  const name = names.at(-1) ?? "";
  const known = names.length === 1 || (names.length === 2 && names[0] === "pg_catalog");
  for (const modifier of list(type["typmods"])) as("A_Const", modifier);
  const found = known && Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
  if (found === undefined)
    throw new Refused(
      `the type ${names.join(".")} is not allowed: use text, varchar, smallint, integer, bigint, numeric, timestamptz(3), uuid, bytea, boolean or jsonb`,
      locationOf(type),
    );
  return found;
}

/** What a column would round when a row is written is not what the flow reads afterwards. */
function columnType(node: unknown): string {
  const found = typeName(node);
  const { typmods } = node as SyntaxNode;
  const [modifier] = list(typmods).map((each) => (as("A_Const", each)["ival"] as SyntaxNode | undefined)?.["ival"]);
  if (found === "decimal" && typmods !== undefined)
    throw new Refused("a numeric with a precision rounds: use numeric, and a CHECK for its bounds", locationOf(node as SyntaxNode));
  if (found === "instant" && modifier !== 3)
    throw new Refused("flows know milliseconds: use timestamptz(3)", locationOf(node as SyntaxNode));
  return found;
}

function collation(names: readonly unknown[]): void {
  const [name, ...rest] = path(names);
  if (name !== "C" || rest.length > 0) throw new Refused('the only collation is "C"');
}

// --- Expressions ---

const OPERATORS = new Set(["=", "<>", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "||", "~~", "!~~"]);
const OPERATOR_KINDS = new Set([
  "AEXPR_OP",
  "AEXPR_IN",
  "AEXPR_LIKE",
  "AEXPR_BETWEEN",
  "AEXPR_NOT_BETWEEN",
  "AEXPR_DISTINCT",
  "AEXPR_NOT_DISTINCT",
]);

/** Constants, columns of this table and operators of the list; nothing that could run anything else. */
function expression(table: MigrationTable, node: unknown): void {
  if (node === undefined) return;
  const [kind, inner] = oneOf(node);
  const parts = (...fields: readonly string[]): void => {
    for (const field of fields) for (const part of listOrOne(inner[field])) expression(table, part);
  };
  switch (kind) {
    case "A_Const":
    case "SetToDefault":
      return;
    case "ColumnRef": {
      const names = path(inner["fields"]);
      if (names.length !== 1) throw new Refused("columns are named without their table", locationOf(inner));
      columnOf(table, names[0]);
      return;
    }
    case "A_Expr": {
      only(inner, "kind", "name", "lexpr", "rexpr", "rexpr_list_start", "rexpr_list_end");
      const names = path(inner["name"]);
      // BETWEEN and IS DISTINCT FROM are named by their kind.
      const plain = inner["kind"] === "AEXPR_OP" || inner["kind"] === "AEXPR_IN" || inner["kind"] === "AEXPR_LIKE";
      if (!OPERATOR_KINDS.has(String(inner["kind"])) || (plain && (names.length !== 1 || !OPERATORS.has(names[0] ?? ""))))
        throw new Refused(`the operator ${names.join(".")} is not allowed`, locationOf(inner));
      parts("lexpr", "rexpr");
      return;
    }
    case "BoolExpr":
      parts("args");
      return;
    case "NullTest":
      parts("arg");
      return;
    case "BooleanTest":
      parts("arg");
      return;
    case "CoalesceExpr":
      parts("args");
      return;
    case "CaseExpr":
      parts("arg", "args", "defresult");
      return;
    case "CaseWhen":
      parts("expr", "result");
      return;
    case "List":
      parts("items");
      return;
    case "TypeCast":
      typeName(inner["typeName"]);
      parts("arg");
      return;
    default:
      throw new Refused(
        `${kind} is not allowed in an expression: only constants, columns and plain operators are, and no functions`,
        locationOf(inner),
      );
  }
}

function constant(node: unknown): void {
  if (node === undefined) return;
  const [kind, inner] = oneOf(node);
  if (kind === "TypeCast") {
    typeName(inner["typeName"]);
    constant(inner["arg"]);
    return;
  }
  if (kind !== "A_Const") throw new Refused("a default is a constant", locationOf(inner));
}

// --- The tree ---

/** A node is a map with one member, which is called like its kind. */
function oneOf(node: unknown): readonly [kind: string, inner: SyntaxNode] {
  const [entry, ...rest] = Object.entries((node ?? {}) as SyntaxNode);
  if (entry === undefined || rest.length > 0) throw new Refused("it holds a statement that is not understood");
  return [entry[0], entry[1] as SyntaxNode];
}

function as(kind: string, node: unknown): SyntaxNode {
  const [found, inner] = oneOf(node);
  if (found !== kind) throw new Refused(`${found} is not allowed here`, locationOf(inner));
  return inner;
}

/** What a clause does not use is not in the tree: any other member is a clause that is not allowed. */
function only(node: SyntaxNode, ...fields: readonly string[]): void {
  const other = Object.keys(node).find((field) => field !== "location" && !fields.includes(field));
  if (other !== undefined) throw new Refused(`it uses a clause that is not allowed (${other})`, locationOf(node));
}

const locationOf = (node: SyntaxNode): number | undefined => (typeof node["location"] === "number" ? node["location"] : undefined);
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const listOrOne = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : value === undefined ? [] : [value]);

function path(value: unknown): readonly string[] {
  return list(value).map((part) => {
    const { sval } = as("String", part);
    if (typeof sval !== "string") throw new Refused("a name is missing");
    return sval;
  });
}
