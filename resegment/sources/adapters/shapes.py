"""Fields and paths that many providers share."""

from __future__ import annotations

from typing import Final

from resegment.sources.adapters.fields import Field, field, listed

DOMAINS: Final = listed(
    "domain, company_domain, company.domain, company_object.domain, organization.domain, website, "
    "company_website, website_url, homepage_url, company.website, company_url, organization.website, "
    "company domain name, primary_domain, url"
)
"""Names of the fields with a company's domain."""

COMPANY_NAMES: Final = listed(
    "company_name, company.name, organization_name, organization.name, account_name, company, name"
)

ATTRIBUTES: Final[dict[str, Field]] = {
    "name": field("text", "company_name, company.name, organization name, organization.name, account name, display_name, "
"name, company"),
    "industry": field("text", "industry, company_industry, company.industry, primary_industry, industries, linkedin_industry"),
    "subindustry": field("text", "subindustry, sub_industry, sub industry"),
    "business_model": field("text", "business_model", "business model"),
    "employees": field("count", "employee_count, employees, number_of_employees, employees_count, numberofemployees, headcount, "
"company.employee_count, company.employees, company_employee_count, employee_range, company_size, "
"size, size_range"),
    "revenue_usd": field("money", "annual_revenue_usd, revenue_usd, annual_revenue, revenue, estimated_revenue, inferred_revenue, "
"revenue_range, company.revenue"),
    "country": field("text", "country, company_country, hq_country, headquarters_country, location.country, country_name, "
"company.country, billing_country"),
    "region": field("text", "region, state, location.region, company_state"),
    "technologies": field("technologies", "technologies, tech_stack, technology_slugs, technology_names, web_technologies"),
    "growth_stage": field("term", "funding_stage, latest_funding_stage, last_funding_type, stage, growth_stage"),
}  # fmt: skip
"""The attributes of a company, by the names that providers of firmographic data use."""
