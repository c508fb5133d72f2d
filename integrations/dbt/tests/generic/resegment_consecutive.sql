{% test resegment_consecutive(model, key, number) %}
-- Numbers of one account follow each other: a gap is a change that was lost.
select {{ key }}
from {{ model }}
group by {{ key }}
having max({{ number }}) - min({{ number }}) + 1 <> count(*)
{% endtest %}
