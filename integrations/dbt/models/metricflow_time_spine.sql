{{ config(materialized='table') }}
-- A row a day, which MetricFlow needs.
{% if target.type == 'duckdb' -%}
select cast(day as date) as date_day
from (select unnest(generate_series(date '2020-01-01', date '2035-12-31', interval '1 day')) as day)
{%- else -%}
select cast(generate_series(date '2020-01-01', date '2035-12-31', interval '1 day') as date) as date_day
{%- endif %}
