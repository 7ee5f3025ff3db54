"""Lines in Elasticsearch: which field means what, what is asked, and the protocol between them."""

from midwatch_logs.backends.elasticsearch.backend import ElasticsearchLogs

__all__ = ["ElasticsearchLogs"]
