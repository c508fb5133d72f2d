{% test resegment_no_overlap(model, key, from, to) %}
-- Stays of one account meet: each ends where the next begins.
select *
from (
    select
        {{ key }},
        {{ to }} as ended,
        lead({{ from }}) over (partition by {{ key }} order by {{ from }}) as following
    from {{ model }}
) as stays
where (ended is null and following is not null) or ended <> following or (ended is not null and following is null)
{% endtest %}
