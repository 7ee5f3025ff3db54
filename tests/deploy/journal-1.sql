BEGIN TRANSACTION;
CREATE TABLE format (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "format" VALUES(1);
CREATE TABLE records (
	investigation VARCHAR NOT NULL, 
	seq INTEGER NOT NULL, 
	"key" VARCHAR NOT NULL, 
	at VARCHAR NOT NULL, 
	actor VARCHAR NOT NULL, 
	type VARCHAR NOT NULL, 
	body VARCHAR NOT NULL, 
	prev_hash VARCHAR NOT NULL, 
	hash VARCHAR NOT NULL, 
	PRIMARY KEY (investigation, seq), 
	UNIQUE (investigation, type, "key")
);
INSERT INTO "records" VALUES('01M7VEB1W0SS6WEB930S0T7RBC',1,'1','2026-11-22T17:59:03.789799Z','generic','incident','{"id": "01M7VEB1W0SS6WEB930S0T7RBC", "title": "errors of web", "status": "triaging", "reason": "", "severity": "medium", "service": "service:web", "started_at": "2026-11-20T02:48:00Z", "first_seen": "2026-11-20T03:00:00Z", "symptoms": ["errors of web"], "links": [], "runbook": "", "owner": null, "alerts": ["3c3b4a93884697b02573"], "version": 1}','','3020c8a1a1b31a2a3af143892615083ca8e953da60b990605685ba92427d598c');
INSERT INTO "records" VALUES('01M7VEB1W0SS6WEB930S0T7RBC',2,'alert:3c3b4a93884697b02573','2026-11-22T17:59:03.792253Z','host','message','{"text": "kept", "evidence": null, "statements": []}','3020c8a1a1b31a2a3af143892615083ca8e953da60b990605685ba92427d598c','a69f6c1b8c825c6aca77e2f858b037cb790608a38d9755bbcb943f33420f6923');
INSERT INTO "records" VALUES('01M7VEB1W0SS6WEB930S0T7RBC',3,'2','2026-11-22T17:59:03.793712Z','host','incident','{"id": "01M7VEB1W0SS6WEB930S0T7RBC", "title": "errors of web", "status": "investigating", "reason": "", "severity": "medium", "service": "service:web", "started_at": "2026-11-20T02:48:00Z", "first_seen": "2026-11-20T03:00:00Z", "symptoms": ["errors of web"], "links": [], "runbook": "", "owner": null, "alerts": ["3c3b4a93884697b02573"], "version": 2}','a69f6c1b8c825c6aca77e2f858b037cb790608a38d9755bbcb943f33420f6923','f2eeab219afb605cbe877d597b705b60b9b639a4b14017abb170e5351d0e88f8');
INSERT INTO "records" VALUES('01M7VEB1W0SS6WEB930S0T7RBC',4,'0','2026-11-22T17:59:03.795297Z','host','report','{"outcome": "inconclusive", "mitigated": false, "packet": "the packet"}','f2eeab219afb605cbe877d597b705b60b9b639a4b14017abb170e5351d0e88f8','29766bad77ddce74ee5bb2cfe864ce4bb5e5f4ccc4a75facd1a397c4ac934278');
INSERT INTO "records" VALUES('01M7VEB1W06W23CMD818PJ668Z',1,'1','2026-11-22T17:59:03.796779Z','generic','incident','{"id": "01M7VEB1W06W23CMD818PJ668Z", "title": "errors of cart", "status": "triaging", "reason": "", "severity": "medium", "service": "service:cart", "started_at": "2026-11-20T02:48:00Z", "first_seen": "2026-11-20T03:00:00Z", "symptoms": ["errors of cart"], "links": [], "runbook": "", "owner": null, "alerts": ["41109fc51bad69af5355"], "version": 1}','','8e90b795a398e2f53f7407daf038b7b5eea349b2d2bb6b9e1ab0bc85c2c0f3b0');
INSERT INTO "records" VALUES('01M7VEB1W06W23CMD818PJ668Z',2,'alert:41109fc51bad69af5355','2026-11-22T17:59:03.798063Z','host','message','{"text": "kept", "evidence": null, "statements": []}','8e90b795a398e2f53f7407daf038b7b5eea349b2d2bb6b9e1ab0bc85c2c0f3b0','8e84e4cba565ea06160e203ce40abe815b757b301195f3c9f3ff8d683f8f3301');
INSERT INTO "records" VALUES('01M7VEB1W06W23CMD818PJ668Z',3,'2','2026-11-22T17:59:03.799134Z','host','incident','{"id": "01M7VEB1W06W23CMD818PJ668Z", "title": "errors of cart", "status": "investigating", "reason": "", "severity": "medium", "service": "service:cart", "started_at": "2026-11-20T02:48:00Z", "first_seen": "2026-11-20T03:00:00Z", "symptoms": ["errors of cart"], "links": [], "runbook": "", "owner": null, "alerts": ["41109fc51bad69af5355"], "version": 2}','8e84e4cba565ea06160e203ce40abe815b757b301195f3c9f3ff8d683f8f3301','0f61ff104f957d357aac8ee6ad6804ef0b9232f61e4b6a7c68349c9814445917');
CREATE TABLE spending (
	day VARCHAR NOT NULL, 
	usd FLOAT NOT NULL, 
	PRIMARY KEY (day)
);
INSERT INTO "spending" VALUES('2026-11-20',1.25);
COMMIT;
