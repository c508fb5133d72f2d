{% test resegment_one_current(model, key, flag) %}
select {{ key }}
from {{ model }}
group by {{ key }}
having sum(case when {{ flag }} then 1 else 0 end) <> 1
{% endtest %}
