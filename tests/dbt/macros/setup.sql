{# DuckDB's readers come as wheels; nothing is fetched. #}
{% macro load_extensions() -%}
  {%- for path in var('extensions') %} load '{{ path }}'; {% endfor -%}
{%- endmacro %}

{# What SQL lacks. #}
{% macro create_functions() -%}
  {%- set weights = [] -%}
  {%- set ns = namespace(w=25214903917) -%}
  {%- for i in range(64) -%}
    {%- set ns.w = (ns.w * 25214903917 + 11) % 70368744177664 -%}
    {%- do weights.append(ns.w) -%}
  {%- endfor %}
  -- The number of an id and an interval, in numbers of 128 bits that nothing overflows.
  create or replace macro interval_key(id, valid_from) as cast((
    (epoch_us(valid_from) // 1000000)::hugeint * 536870909
    + coalesce(list_sum(list_transform(
        string_split(id, ''),
        lambda letter, i: unicode(letter)::hugeint % 1024 * {{ weights }}[i]
      )), 0)::hugeint
  ) % 9007199254740881 as bigint);
  create or replace macro day_key(instant) as
    (year(instant) * 10000 + month(instant) * 100 + day(instant))::int;
  create or replace macro seconds(since, until) as (epoch_us(until) - epoch_us(since)) / 1e6;
  create or replace macro pct(part, whole) as 100::double * part / nullif(whole, 0);
  -- Whole numbers divided and rounded half away from zero, to a decimal of four, or three, digits.
  create or replace macro rounded(n, d) as
    (sign(n)::hugeint * ((abs(n) * 2 + d) // (d * 2)));
  create or replace macro ratio4(n, d) as
    (rounded(n::hugeint * 10000, d::hugeint)::decimal(38, 0) * 0.0001)::decimal(18, 4);
  create or replace macro ratio3(n, d) as
    (rounded(n::hugeint * 1000, d::hugeint)::decimal(38, 0) * 0.001)::decimal(9, 3);
  create or replace macro mean3(x) as ratio3(
    sum((x::decimal(12, 3) * 1000)::hugeint), nullif(count(x), 0) * 1000
  );
  create or replace macro tenthousandths(amount) as (amount::decimal(28, 4) * 10000)::hugeint;
{%- endmacro %}
